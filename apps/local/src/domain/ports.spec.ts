import { describe, expect, it } from 'vitest';
import { portsToChoose } from './ports.js';

describe('portsToChoose', () => {
  const kept = { a: 1, b: 2, c: 2 };

  it('keeps what is free and chooses for the rest', () => {
    expect(portsToChoose(['a', 'b', 'd'], kept, () => true)).toEqual(['d']);
    expect(portsToChoose(['a', 'b'], kept, (port) => port !== 1)).toEqual(['a']);
  });

  it('never leaves one port to two', () => {
    expect(portsToChoose(['a', 'b', 'c'], kept, () => true)).toEqual(['c']);
  });
});
