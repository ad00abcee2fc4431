import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { jsonBody } from './json-body.js';
import { JsonScan } from './json-scan.js';

const BOUNDS = { depth: 20, tokens: 10_000 };

/** Whether the scan lets it pass when it is made in steps of so many bytes. */
function passes(text: string, bounds = BOUNDS, stepBytes = 1_000): boolean {
  const scan = new JsonScan(Buffer.from(text), bounds);
  while (!scan.isOver) if (!scan.scan(stepBytes)) return false;
  return true;
}

describe('finding 6b: the scan of a JSON body', () => {
  it.each([1, 2, 3, 7, 1_000])('counts structure outside of strings only, in steps of %d bytes', (step) => {
    const bounds = { depth: 2, tokens: 4 };
    expect(passes('{"[[[,,,:::\\"]]\\\\": "{{{{"}', bounds, step)).toBe(true);
    expect(passes('[[[1]]]', bounds, step)).toBe(false);
    expect(passes('[1,2,3,4,5]', bounds, step)).toBe(false);
    expect(passes('"never closed [[[[', bounds, step)).toBe(true);
    expect(passes('"ends in the middle \\', bounds, step)).toBe(true);
  });
});

describe('finding 6b: a large JSON body', () => {
  /** So many spaces that it is parsed by item. */
  const padded = (text: string) => Buffer.from(text.replace(/^(\s*[[{])?/, `$1${' '.repeat(300_000)}`));
  const read = (body: Buffer) => jsonBody(z.unknown(), body, BOUNDS);

  it('says the same as JSON.parse', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 5 }), async (text) => {
        expect(await read(padded(text))).toEqual(JSON.parse(padded(text).toString()));
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    '{"operations":[{"a":[1,[2,{"b":3}]]},[[4]],5,"[0]",[],{}],"x":{"y":{"z":[6]}},"n":null}',
    '[[[0],[1]],{"a":[2]}]',
    '{"a":[[7]],"a":[[8]]}',
    '{"__proto__":[{"polluted":1}],"b":[{"__proto__":{"polluted":2}}]}',
  ])('says the same as JSON.parse of %s', async (text) => {
    expect(JSON.stringify(await read(padded(text)))).toBe(JSON.stringify(JSON.parse(text)));
    expect({}).not.toHaveProperty('polluted');
  });

  it.each([
    '{"operations":[{"a":1}{"b":2}]}',
    '{"operations":[{"a":1},]}',
    '{"operations":[{"a":}]}',
    '{"operations":[{"a":1]}}',
    '{"operations":[{"a":1}]',
    '{"operations":[{"a":1}]}]',
    ']]]{{{',
    '{"operations":[{"a":1}] "b":2}',
  ])('is refused when it is not JSON: %s', async (text) => {
    await expect(read(padded(text))).rejects.toMatchObject({ code: 'invalid-request' });
  });
});
