export { NATS_SETTINGS, POSTGRES_SETTINGS, PROCESS_SETTINGS, REDIS_SETTINGS } from './groups.js';
export { type HostPattern, matchesHost, parseHostPattern } from './host-pattern.js';
export { loadSettings, maskSecrets, SettingsError, type SettingsInput } from './load.js';
export {
  isSecret,
  SETTINGS,
  type SettingName,
  type Settings,
  type SettingValue,
  settingNames,
  variableOf,
} from './settings.js';
export { type Timings, timingsOf } from './timings.js';
