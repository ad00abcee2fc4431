import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The last lines of every log of a cluster, for the message of a failed start or test. */
export function logTails(home: string, lines = 15): string {
  return globSync('log/*.log', { cwd: home })
    .sort()
    .map((name) => {
      const all = readFileSync(join(home, name), 'utf8').trimEnd().split('\n');
      return `--- ${name}\n${all.slice(-lines).join('\n')}`;
    })
    .join('\n');
}

/** Lines of one log that are not debug or info. */
export function loggedErrors(home: string): string[] {
  return globSync('log/*.log', { cwd: home }).flatMap((name) =>
    readFileSync(join(home, name), 'utf8')
      .split('\n')
      .filter((line) => /"level":("error"|"fatal"|50|60)/.test(line)),
  );
}
