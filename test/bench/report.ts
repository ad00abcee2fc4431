import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

/** One line of a result: what was measured, what came out, and what is wanted. */
export type Row = readonly [what: string, result: string, wanted: string];

export function printMachine(quick: boolean): void {
  const model = cpus()[0]?.model.trim() ?? 'unknown';
  const memory = (totalmem() / 1024 ** 3).toFixed(0);
  const servers = `nats-server ${version('nats-server')}, redis ${version('redis-server')}`;
  const changed = git('status', '--porcelain') === '' ? '' : ' and changes';
  console.log(
    `machine   ${cpus().length} x ${model}, ${memory} GB, Linux ${release()}, load ${loadAverage()}`,
  );
  console.log(`versions  node ${process.version}, ${servers}`);
  console.log(`source    ${git('rev-parse', '--short', 'HEAD')}${changed}`);
  if (quick) console.log('quick     few and short rounds: these numbers only show that it runs');
}

export function printTable(title: string, rows: readonly Row[]): void {
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  console.log(`\n${title}`);
  for (const [what, result, wanted] of rows) {
    const figures = `${what.padEnd(widths[0] ?? 0)}  ${result.padStart(widths[1] ?? 0)}`;
    console.log(`  ${figures}  ${wanted && `wanted ${wanted}`}`.trimEnd());
  }
}

/** Progress, where it does not disturb the tables. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function loadAverage(): string {
  return readFileSync('/proc/loadavg', 'utf8').split(' ', 1)[0] ?? '';
}

function version(program: string): string {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return /\d+\.\d+(?:\.\d+)?/.exec(stdout ?? '')?.[0] ?? 'unknown';
}

function git(...args: string[]): string {
  return spawnSync('git', args, { encoding: 'utf8' }).stdout?.trim() ?? '';
}
