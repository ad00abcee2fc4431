import { describe, expect, it } from 'vitest';
import { deferred } from '#libs/kernel';
import type { PresentPage, PresentQuery } from './change-source.js';
import { PresentPages } from './present-pages.js';

const WANTED = { namespace: 'app', prefix: '', after: undefined, atVersion: 7 };

/** Answers when it is told to. */
function slowSource() {
  const asked: PresentQuery[] = [];
  const answers: ((page: PresentPage) => void)[] = [];
  const present = (query: PresentQuery) => {
    asked.push(query);
    const answer = deferred<PresentPage>();
    answers.push(answer.resolve);
    return answer.promise;
  };
  return { present, asked, answers };
}

function pageOf(key: string, more: boolean): PresentPage {
  const entry = { namespace: 'app', key, value: Buffer.from('v'), contentType: 'text/plain', checksum: '' };
  return { entries: [{ ...entry, version: 3, updatedAt: '2026-01-01T00:00:00.000Z' }], more };
}

const turns = () => new Promise((resolve) => setImmediate(resolve));

describe('finding 6c: pages of present values', () => {
  it('are read and encoded once for all who want the same, and kept for the next', async () => {
    const source = slowSource();
    const pages = new PresentPages(source);
    const all = Array.from({ length: 100 }, () => pages.page(WANTED));
    await turns();
    expect(source.asked).toHaveLength(1);
    expect(source.asked[0]?.maxBytes).toBe(256 * 1024);
    source.answers[0]?.(pageOf('a', true));
    const [first, ...others] = await Promise.all(all);
    for (const other of others) expect(other).toBe(first);
    expect(first).toMatchObject({ next: 'a' });
    expect(await pages.page(WANTED)).toBe(first);
    expect(source.asked).toHaveLength(1);
  });

  it('are asked for four at a time, each by its namespace, prefix, key and version', async () => {
    const source = slowSource();
    const pages = new PresentPages(source);
    const wanted = [
      WANTED,
      { ...WANTED, namespace: 'b' },
      { ...WANTED, prefix: 'p' },
      { ...WANTED, after: 'k' },
      { ...WANTED, atVersion: 8 },
    ];
    const all = wanted.map((one) => pages.page(one));
    await turns();
    expect(source.asked).toHaveLength(4);
    source.answers[2]?.(pageOf('a', false));
    await all[2];
    await turns();
    expect(source.asked).toHaveLength(5);
    for (const answer of source.answers) answer(pageOf('a', false));
    for (const page of await Promise.all(all)) expect(page).toMatchObject({ next: undefined });
  });

  it('are read anew when the history was replaced or a read failed', async () => {
    const source = slowSource();
    const pages = new PresentPages(source);
    const early = pages.page(WANTED);
    await turns();
    pages.clear();
    source.answers[0]?.(pageOf('old', false));
    await early;
    const late = pages.page(WANTED);
    await turns();
    expect(source.asked).toHaveLength(2);
    source.answers[1]?.(pageOf('new', false));
    expect(await late).not.toBe(await early);
  });
});
