import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '#libs/observability';
import { pinState, Replica } from '#libs/replica';
import { nextIncarnation } from '../membership/incarnation.js';
import { SnapshotFile } from './snapshot-file.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-full-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Every write to the file fails with ENOSPC, as on a full disk. */
const fill = (name: string) => symlinkSync('/dev/full', join(folder, name));

describe('report 2: a node on a full disk', () => {
  it('starts under a number that rises, and reports that it could not be kept', async () => {
    writeFileSync(join(folder, 'incarnation'), '7\n');
    fill('incarnation.tmp');
    const reported: string[] = [];
    const next = await nextIncarnation(folder, 5, (error) => reported.push(error.message));
    expect(next).toBe(8);
    expect(reported).toEqual([expect.stringContaining('ENOSPC')]);
    expect(readFileSync(join(folder, 'incarnation'), 'utf8')).toBe('7\n');
    expect(await nextIncarnation(folder, 100, () => undefined)).toBe(100);
  });

  it('keeps the snapshot it has, and leaves no half of another behind', async () => {
    const file = new SnapshotFile(folder, createLogger({ service: 'test', node: 'n', level: 'silent' }));
    const state = await pinState(new Replica(), async () => undefined);
    if (state === undefined) throw new Error('the state changed meanwhile');
    await file.save(state, { paced: false });
    const before = readFileSync(join(folder, 'snapshot'));
    fill('snapshot.tmp');
    await expect(file.save(state, { paced: false })).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(readFileSync(join(folder, 'snapshot'))).toEqual(before);
    expect(existsSync(join(folder, 'snapshot.tmp'))).toBe(false);
    await file.save(state, { paced: false });
  });
});
