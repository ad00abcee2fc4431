import { describe, expect, it } from 'vitest';
import { UnsafeInteger, valueTypes } from './value-types.js';

describe('valueTypes', () => {
  const int8 = valueTypes.getTypeParser(20);

  it('reads bigint as a number up to 2^53 - 1 and refuses what lies beyond', () => {
    expect(int8('9007199254740991')).toBe(Number.MAX_SAFE_INTEGER);
    expect(int8('-9007199254740991')).toBe(Number.MIN_SAFE_INTEGER);
    expect(() => int8('9007199254740992')).toThrow(UnsafeInteger);
    expect(() => int8('-9223372036854775808')).toThrow(UnsafeInteger);
  });

  it("leaves everything else to the driver's defaults", () => {
    expect(valueTypes.getTypeParser(17)('\\x00ff')).toEqual(Buffer.from([0, 255]));
    expect(valueTypes.getTypeParser(1184)('2026-01-02 03:04:05.678+00')).toEqual(
      new Date('2026-01-02T03:04:05.678Z'),
    );
  });
});
