/** Settings that processes have in common, by what they are for. A service names the groups that it needs. */
export const PROCESS_SETTINGS = [
  'instanceId',
  'port',
  'bind',
  'clusterKey',
  'logLevel',
  'publicHosts',
  'corsOrigins',
] as const;

export const NATS_SETTINGS = ['natsServers', 'natsUser', 'natsPassword', 'subjectPrefix'] as const;

export const POSTGRES_SETTINGS = [
  'postgresHosts',
  'postgresDatabase',
  'postgresUser',
  'postgresPassword',
] as const;

export const REDIS_SETTINGS = [
  'redisHost',
  'redisPort',
  'redisPassword',
  'redisSentinels',
  'redisMaster',
] as const;
