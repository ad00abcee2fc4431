import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JSON_VALUE_FACTOR, valueFromJson, valueToJson } from './json-value.js';

const bytesIn = (value: Buffer) => Buffer.byteLength(JSON.stringify(valueToJson(value).value)) - 2;

describe('finding 6a: a value in JSON', () => {
  it('takes at most twice its bytes, and comes back byte for byte', () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 }).map((one) => Buffer.from(one));
    const controls = fc.array(fc.constantFrom(0, 7, 9, 10, 0x1f, 0x22, 0x5c, 0x61)).map(Buffer.from);
    const bytes = fc.uint8Array({ maxLength: 300 }).map((one) => Buffer.from(one));
    fc.assert(
      fc.property(fc.oneof(text, controls, bytes), (value) => {
        expect(bytesIn(value)).toBeLessThanOrEqual(Math.max(4, JSON_VALUE_FACTOR * value.length));
        expect(valueFromJson(valueToJson(value)).equals(value)).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });

  it.each([
    ['{"a":"b","c":[""]}', undefined],
    ['a=1\r\n\tb=\\n\r\n', undefined],
    ['"\\"\\"\\"', undefined],
    ['Müller', undefined],
    ['', undefined],
    ['\u001b[1mbold text\u001b[0m', undefined],
    ['\0\0\0', 'base64'],
    ['\0a', 'base64'],
  ])('is text when it can be printed: %j', (text, encoding) => {
    expect(valueToJson(Buffer.from(text)).encoding).toBe(encoding);
  });
});
