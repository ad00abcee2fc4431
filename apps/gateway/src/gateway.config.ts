import { loadSettings, type SettingsInput } from '#libs/config';

const NAMES = [
  'instanceId',
  'port',
  'bind',
  'natsServers',
  'natsUser',
  'natsPassword',
  'subjectPrefix',
  'clusterKey',
  'nodes',
  'sharedListening',
  'balancing',
  'hedgeReads',
  'logLevel',
  'publicHosts',
  'corsOrigins',
] as const;

export type GatewaySettings = ReturnType<typeof loadGatewaySettings>;

/** `input` = where settings are read from, when not from this process. */
export function loadGatewaySettings(input?: SettingsInput) {
  return loadSettings(NAMES, { port: 8080 }, input);
}
