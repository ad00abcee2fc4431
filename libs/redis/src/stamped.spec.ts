import { describe, expect, it } from 'vitest';
import { parseStamped } from './stamped.js';

describe('parseStamped', () => {
  it('reads the stamp and the value, colons in it included', () => {
    expect(parseStamped('1700000000000:42:{"a":"b:c"}')).toEqual({
      incarnation: 1_700_000_000_000,
      seq: 42,
      value: { a: 'b:c' },
    });
  });

  it('knows nothing of what somebody else stored', () => {
    expect(parseStamped('{"a":1}')).toBeUndefined();
    expect(parseStamped('1:2')).toBeUndefined();
  });
});
