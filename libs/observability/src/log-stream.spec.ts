import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LogStream } from './log-stream.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-log-stream-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('writes every line once and in order, the last ones at an exit', async () => {
  const file = join(folder, 'log');
  const descriptor = openSync(file, 'a');
  const stream = new LogStream(descriptor);
  const lines = Array.from({ length: 1_000 }, (_, n) => `line ${n}\n`);
  for (const line of lines) stream.write(line);
  await expect.poll(() => readFileSync(file, 'utf8').length).toBe(lines.join('').length);
  stream.write('in flight\n');
  await expect.poll(() => readFileSync(file, 'utf8')).toContain('in flight');
  stream.flushSync();
  closeSync(descriptor);
  expect(readFileSync(file, 'utf8')).toBe(`${lines.join('')}in flight\n`);
});

it('bounds what waits, and tells how much was lost', async () => {
  const file = join(folder, 'log');
  const descriptor = openSync(file, 'a');
  const stream = new LogStream(descriptor, 20);
  for (let n = 0; n < 10; n++) stream.write('0123456789');
  await expect.poll(() => readFileSync(file, 'utf8')).toMatch(/"lost":\d+,"msg":"log lines were lost"/);
  closeSync(descriptor);
});

it('gives up when the reader has gone, at an exit too', async () => {
  const reader = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
  const descriptor = descriptorOf(reader.stdin);
  const stream = new LogStream(descriptor);
  stream.write('heard\n');
  reader.kill('SIGKILL');
  await once(reader, 'exit');
  for (let n = 0; n < 100; n++) stream.write('unheard\n');
  const begin = performance.now();
  stream.flushSync();
  expect(performance.now() - begin).toBeLessThan(500);
});

function descriptorOf(stream: unknown): number {
  const handle: unknown = Reflect.get(Object(stream), '_handle');
  return Number(Reflect.get(Object(handle), 'fd'));
}
