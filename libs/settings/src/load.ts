import { readFileSync } from 'node:fs';
import { load as parseYaml } from 'js-yaml';
import { isSecret, SETTINGS, type SettingName, type Settings, settingNames, variableOf } from './settings.js';

/** A setting is missing, malformed or unknown. The message lists every fault, one a line. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  constructor(readonly faults: readonly string[]) {
    super(`the settings are not valid:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
  }
}

export interface SettingsInput {
  argv: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  readFile: (path: string) => string;
}

const processInput = (): SettingsInput => ({
  argv: process.argv.slice(2),
  env: process.env,
  readFile: (path) => readFileSync(path, 'utf8'),
});

/**
 * Reads the named settings once: flag `--node-id=x` > `HOLDFAST_NODE_ID` > `HOLDFAST_NODE_ID_FILE` (secrets) >
 * YAML file named by `HOLDFAST_CONFIG` > `defaults` of the service > default of the table.
 * A `HOLDFAST_*` variable, flag or file entry that no setting has is refused: a misspelt one would be silently ignored.
 */
export function loadSettings<K extends SettingName>(
  names: readonly K[],
  defaults: Partial<Record<K, unknown>> = {},
  input: SettingsInput = processInput(),
): Settings<K> {
  const faults: string[] = [];
  const flags = readFlags(input.argv, faults);
  const file = readSettingsFile(input, faults);
  refuseUnknown(input.env, file, faults);

  const values: Partial<Record<SettingName, unknown>> = {};
  for (const name of names) {
    const raw = flags.get(name) ?? fromEnv(name, input, faults) ?? file[name] ?? defaults[name];
    const result = SETTINGS[name].schema.safeParse(raw);
    if (result.success) values[name] = result.data;
    else faults.push(`${variableOf(name)}: ${result.error.issues.map((issue) => issue.message).join('; ')}`);
  }
  if (faults.length > 0) throw new SettingsError(faults);
  return Object.freeze(values) as Settings<K>;
}

/** For the one log line that shows what is in force. */
export function maskSecrets(
  settings: Readonly<Partial<Record<SettingName, unknown>>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [
      name,
      isSecret(name as SettingName) && value !== undefined ? '***' : value,
    ]),
  );
}

function readFlags(argv: readonly string[], faults: string[]): Map<SettingName, string> {
  const byFlag = new Map(settingNames().map((name) => [`--${flagOf(name)}`, name]));
  const flags = new Map<SettingName, string>();
  for (const argument of argv) {
    const [flag, value] = argument.split(/=(.*)/s, 2);
    const name = byFlag.get(flag ?? '');
    if (name === undefined) faults.push(`${flag}: no such flag`);
    else if (value === undefined) faults.push(`${argument}: write ${flag}=VALUE`);
    else flags.set(name, value);
  }
  return flags;
}

function flagOf(name: SettingName): string {
  return variableOf(name).slice('HOLDFAST_'.length).toLowerCase().replaceAll('_', '-');
}

function fromEnv(name: SettingName, input: SettingsInput, faults: string[]): string | undefined {
  const variable = variableOf(name);
  const direct = input.env[variable];
  if (direct !== undefined) return direct;
  const path = isSecret(name) ? input.env[`${variable}_FILE`] : undefined;
  if (path === undefined) return undefined;
  try {
    return input.readFile(path).trim();
  } catch (error) {
    faults.push(
      `${variable}_FILE: cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`,
    );
    return undefined;
  }
}

function readSettingsFile(input: SettingsInput, faults: string[]): Record<string, unknown> {
  const path = input.env.HOLDFAST_CONFIG;
  if (path === undefined) return {};
  try {
    const parsed = parseYaml(input.readFile(path)) ?? {};
    if (typeof parsed === 'object' && !Array.isArray(parsed)) return parsed as Record<string, unknown>;
    faults.push(`HOLDFAST_CONFIG: ${path} is not a map of settings`);
  } catch (error) {
    faults.push(
      `HOLDFAST_CONFIG: cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return {};
}

function refuseUnknown(
  env: SettingsInput['env'],
  file: Readonly<Record<string, unknown>>,
  faults: string[],
): void {
  const known = new Set(['HOLDFAST_CONFIG']);
  for (const name of settingNames()) {
    known.add(variableOf(name));
    if (isSecret(name)) known.add(`${variableOf(name)}_FILE`);
  }
  for (const variable of Object.keys(env)) {
    if (variable.startsWith('HOLDFAST_') && !known.has(variable)) faults.push(`${variable}: no such setting`);
  }
  for (const entry of Object.keys(file)) {
    if (!Object.hasOwn(SETTINGS, entry)) faults.push(`${entry} in HOLDFAST_CONFIG: no such setting`);
  }
}
