import { describe, expect, it } from 'vitest';
import { leftoversOf } from './leftovers.js';

describe('leftoversOf', () => {
  it('finds what still runs, and leaves alone whoever got the pid of one that ended', () => {
    const alive = new Map([
      [10, 'boot:100'],
      [11, 'boot:999'],
    ]);
    const records = [
      { name: 'node-1', pid: 10, identity: 'boot:100' },
      { name: 'node-2', pid: 11, identity: 'boot:101' },
      { name: 'node-3', pid: 12, identity: 'boot:102' },
    ];
    expect(leftoversOf(records, (pid) => alive.get(pid)).map((it) => it.name)).toEqual(['node-1']);
  });
});
