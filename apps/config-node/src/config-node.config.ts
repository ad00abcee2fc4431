import { loadSettings, NATS_SETTINGS, POSTGRES_SETTINGS } from '#libs/settings';

const NAMES = [
  ...NATS_SETTINGS,
  ...POSTGRES_SETTINGS,
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
