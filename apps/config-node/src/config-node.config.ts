import { loadSettings } from '#libs/config';

const NAMES = [
  'nodeId',
  'nodeRole',
  'nodePriority',
  'nodeMetadata',
  'nodes',
  'dataDir',
  'maxLostTail',
  'compactionEveryMs',
  'compactionKeepVersions',
  'port',
  'bind',
  'address',
  'postgresHosts',
  'postgresDatabase',
  'postgresUser',
  'postgresPassword',
  'natsServers',
  'natsUser',
  'natsPassword',
  'subjectPrefix',
  'clusterKey',
  'preset',
  'logLevel',
  'publicHosts',
  'corsOrigins',
] as const;

export type NodeSettings = ReturnType<typeof loadNodeSettings>;

export function loadNodeSettings() {
  return loadSettings(NAMES, { port: 7400, postgresUser: 'holdfast_node' });
}
