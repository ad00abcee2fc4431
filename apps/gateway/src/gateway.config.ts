import { loadSettings, NATS_SETTINGS, PROCESS_SETTINGS, type SettingsInput } from '#libs/settings';

const NAMES = [
  ...PROCESS_SETTINGS,
  ...NATS_SETTINGS,
  'nodes',
  'sharedListening',
  'balancing',
  'hedgeReads',
] as const;

export type GatewaySettings = ReturnType<typeof loadGatewaySettings>;

/** `input` = where settings are read from, when not from this process. */
export function loadGatewaySettings(input?: SettingsInput) {
  return loadSettings(NAMES, { port: 8080 }, input);
}
