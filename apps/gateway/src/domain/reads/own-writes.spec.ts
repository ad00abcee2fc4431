import { describe, expect, it } from 'vitest';
import { OwnWrites } from './own-writes.js';

describe('report 10: writes that a gateway remembers', () => {
  it('are those of the last seconds, of the key and of its namespace', () => {
    const own = new OwnWrites();
    own.committed('app', 'a', 7, 0);
    own.committed('app', 'b', 8, 10);
    own.committed('app', 'a', 6, 20); // told late
    expect(own.versionOf('app/a', 20)).toBe(7);
    expect(own.versionOf('app/', 20)).toBe(8);
    expect(own.versionOf('app/c', 20)).toBe(0);
    expect(own.versionOf('other/', 20)).toBe(0);
    expect(own.versionOf('app/b', 5_010)).toBe(8);
    expect(own.versionOf('app/b', 5_011)).toBe(0);
  });

  it('are bounded in number and time', () => {
    const own = new OwnWrites(3);
    for (let version = 1; version <= 9; version++) own.committed('app', `k${version}`, version, version);
    expect(own.size).toBe(3);
    expect(own.versionOf('app/k9', 9)).toBe(9);
    expect(own.versionOf('app/k1', 9)).toBe(0);
    own.committed('app', 'last', 10, 9_000);
    expect(own.size).toBe(2);
  });
});
