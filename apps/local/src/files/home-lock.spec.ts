import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lockHome } from './home-lock.js';

let run: string;
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'holdfast-lock-'));
});
afterEach(() => rmSync(run, { recursive: true, force: true }));

it('is held by one living process', () => {
  lockHome(run);
  expect(() => lockHome(run)).toThrow(`(pid ${process.pid})`);
  expect(readdirSync(run)).toEqual(['lock.1']);
});

it('is taken over from a process that has ended, also when its pid runs again, and from a damaged file', () => {
  writeFileSync(join(run, 'lock.7'), JSON.stringify({ pid: process.pid, identity: 'another boot:1' }));
  lockHome(run);
  expect(readdirSync(run)).toEqual(['lock.8']);
  rmSync(join(run, 'lock.8'));
  writeFileSync(join(run, 'lock.9'), '');
  lockHome(run);
  expect(readdirSync(run)).toEqual(['lock.10']);
});
