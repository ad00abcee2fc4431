import { describe, expect, it } from 'vitest';
import { SecretSearch, secretForms } from './secret-search.js';

const SECRET = 'Zk3-s3cret_of-this~test';

describe('the search for a secret in traffic', () => {
  it.each([
    ['text', SECRET],
    ['hex', Buffer.from(SECRET).toString('hex')],
    ...['', 'a', 'ab', 'abc', 'abcd'].flatMap((before) =>
      ['', 'z', 'zy'].map((after): [string, string] => [
        `base64 between '${before}' and '${after}'`,
        Buffer.from(`${before}${SECRET}${after}`).toString('base64'),
      ]),
    ),
  ])('finds it once as %s, however it is cut', (_form, text) => {
    const bytes = Buffer.from(`GET / HTTP/1.1\r\nx: ${text}\r\n\r\n`);
    for (let cut = 1; cut < bytes.length; cut++) {
      const search = new SecretSearch(SECRET);
      search.push(bytes.subarray(0, cut));
      search.push(bytes.subarray(cut));
      expect(search.hits, `cut at ${cut}`).toBe(1);
    }
  });

  it('finds nothing where there is a part of it', () => {
    const search = new SecretSearch(SECRET);
    search.push(Buffer.from(SECRET.slice(0, -1)));
    search.push(Buffer.from(SECRET.slice(1)));
    expect(search.hits).toBe(0);
    expect(secretForms(SECRET).length).toBeGreaterThan(6);
  });
});
