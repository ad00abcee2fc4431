import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RunFolder } from './run-folder.js';

let folder: string;
const sleepers: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-run-'));
});
afterEach(() => {
  for (const sleeper of sleepers.splice(0)) sleeper.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

async function sleeper(): Promise<number> {
  const child = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
  sleepers.push(child);
  await once(child, 'spawn');
  return child.pid ?? 0;
}

describe('RunFolder', () => {
  it('shows the pid of what runs and forgets what has ended', async () => {
    const run = new RunFolder(folder);
    const pid = await sleeper();
    run.began('node-1', pid);
    expect(readFileSync(join(folder, 'node-1.pid'), 'utf8')).toBe(`${pid}\n`);
    run.ended('node-1');
    expect(existsSync(join(folder, 'node-1.pid'))).toBe(false);
    expect(await new RunFolder(folder).sweep()).toEqual([]);
  });

  it('sweeps what a killed parent left running, and nobody who got its pid later', async () => {
    const before = new RunFolder(folder);
    const [left, stranger] = [await sleeper(), await sleeper()];
    before.began('node-1', left);
    before.began('node-2', stranger);
    const file = join(folder, 'processes.json');
    const records: { name: string; identity: string }[] = JSON.parse(readFileSync(file, 'utf8'));
    for (const it of records) if (it.name === 'node-2') it.identity = 'another boot:1';
    writeFileSync(file, JSON.stringify(records));

    const ended = Promise.all(sleepers.slice(0, 1).map((it) => once(it, 'exit')));
    expect(await new RunFolder(folder).sweep()).toEqual([`node-1 (pid ${left})`]);
    await ended;
    expect(() => process.kill(stranger, 0)).not.toThrow();
    expect(existsSync(join(folder, 'node-2.pid'))).toBe(false);
  });

  it('takes a record that it cannot read for none', async () => {
    writeFileSync(join(folder, 'processes.json'), '[{"name":');
    expect(await new RunFolder(folder).sweep()).toEqual([]);
  });

  it('report 2: goes on when its disk is full, says so once, and writes what is missing when there is room', async () => {
    const said: string[] = [];
    const run = new RunFolder(folder, (message) => said.push(message));
    const [first, second] = [await sleeper(), await sleeper()];
    run.began('node-4', first);
    const full = ['node-4.pid', 'node-3.pid', 'processes.json'].map((name) => join(folder, `${name}.new`));
    for (const file of full) symlinkSync('/dev/full', file);
    run.ended('node-4');
    run.began('node-4', second);
    run.began('node-3', first);
    expect(run.pidOf('node-4')).toBe(second);
    expect(said).toEqual([expect.stringContaining('ENOSPC')]);

    for (const file of full) rmSync(file);
    await expect.poll(() => said.length).toBe(2);
    expect(readFileSync(join(folder, 'node-4.pid'), 'utf8')).toBe(`${second}\n`);
    const records: { name: string }[] = JSON.parse(readFileSync(join(folder, 'processes.json'), 'utf8'));
    expect(records.map(({ name }) => name).sort()).toEqual(['node-3', 'node-4']);
  });
});
