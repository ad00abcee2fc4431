import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export const REQUIRED_PROGRAMS = ['nats-server', 'redis-server'] as const;
export type ProgramName = (typeof REQUIRED_PROGRAMS)[number];

/** Package managers put servers into folders that are often missing from an ordinary user's PATH. */
const USUAL_FOLDERS = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/opt/homebrew/bin',
  '/opt/homebrew/sbin',
  '/home/linuxbrew/.linuxbrew/bin',
  '/snap/bin',
];

export class ProgramMissing extends Error {
  override readonly name = 'ProgramMissing';
}

export function findProgram(name: ProgramName): string {
  const found = lookUpProgram(name);
  if (found === undefined) throw new ProgramMissing(howToInstall([name]));
  return found;
}

export function missingPrograms(): ProgramName[] {
  return REQUIRED_PROGRAMS.filter((name) => lookUpProgram(name) === undefined);
}

export function lookUpProgram(name: string, searchPath = process.env.PATH ?? ''): string | undefined {
  const folders = [...searchPath.split(delimiter).filter((folder) => folder !== ''), ...USUAL_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isExecutableFile);
}

export function howToInstall(missing: readonly ProgramName[]): string {
  const names = missing.join(' and ');
  const brew = missing.map((name) => (name === 'redis-server' ? 'redis' : name)).join(' ');
  return [
    `Holdfast needs ${names}, not found on this machine. Install by hand, then start again:`,
    `  Debian, Ubuntu:  sudo apt-get install ${missing.join(' ')}`,
    `  macOS:           brew install ${brew}`,
    '  elsewhere:       https://docs.nats.io and https://redis.io/docs name the packages',
  ].join('\n');
}

function isExecutableFile(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false; // absent, or not ours to run: the next folder may have it
  }
}
