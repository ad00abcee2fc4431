import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SnapshotFile } from './snapshot-file.js';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-snapshot-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

it('finding 4: keeps the newest three of the copies that divergences set aside', async () => {
  const file = new SnapshotFile(dir, pino({ level: 'silent' }));
  await writeFile(join(dir, 'snapshot.wrong-database'), 'kept for an operator');
  await writeFile(join(dir, 'snapshot.before-1.txt'), 'of another program');
  for (let version = 1; version <= 6; version++) {
    await writeFile(join(dir, 'snapshot'), `state ${version}`);
    const kept = await file.setAside(`before-${version}`);
    await utimes(kept ?? '', version, version);
  }
  expect((await readdir(dir)).sort()).toEqual([
    'snapshot',
    'snapshot.before-1.txt',
    'snapshot.before-4',
    'snapshot.before-5',
    'snapshot.before-6',
    'snapshot.wrong-database',
  ]);
  expect(await readFile(join(dir, 'snapshot.before-4'), 'utf8')).toBe('state 4');
});
