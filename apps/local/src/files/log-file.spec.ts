import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LogFile } from './log-file.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-log-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('keeps three files, begins a new one only between lines, and goes on with an old one', () => {
  const path = join(folder, 'x.log');
  const first = new LogFile(path, 100);
  const line = (n: number) => Buffer.from(`${String(n).padStart(39, '0')}\n`);
  first.write(line(1));
  first.close();
  const log = new LogFile(path, 100);
  for (let n = 2; n <= 9; n++) log.write(line(n));
  log.close();

  expect(readdirSync(folder).sort()).toEqual(['x.log', 'x.log.1', 'x.log.2']);
  expect(readFileSync(path, 'utf8')).toBe(`${line(9)}`);
  expect(readFileSync(`${path}.1`, 'utf8')).toBe(`${line(7)}${line(8)}`);
  expect(readFileSync(`${path}.2`, 'utf8')).toBe(`${line(5)}${line(6)}`);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

it('does not cut a line that arrives in pieces', () => {
  const path = join(folder, 'x.log');
  const log = new LogFile(path, 10);
  for (const piece of ['12345678', '90abcdef', '\n', 'next\n']) log.write(Buffer.from(piece));
  log.close();
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('1234567890abcdef\n');
  expect(readFileSync(path, 'utf8')).toBe('next\n');
});

it('outlives a disk that takes nothing, and says afterwards what is missing', () => {
  const path = join(folder, 'gone', 'x.log');
  const log = new LogFile(path);
  expect(() => log.write(Buffer.from('lost\n'))).not.toThrow();
  expect(() => new LogFile('/dev/full').write(Buffer.from('lost\n'))).not.toThrow();
});
