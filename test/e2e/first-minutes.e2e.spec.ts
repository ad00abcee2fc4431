import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, SseParser, until } from '#libs/testing';

/** What a new user does first, with plain requests as curl would send them, from start to Ctrl-C and a second start. */
describe('the first five minutes', () => {
  const home = mkdtempSync(join(tmpdir(), 'holdfast-first-'));
  let cluster: Cluster;
  const url = (path: string) => `${cluster.gateway}/v1/namespaces/app${path}`;
  // What curl --data sends when nothing is said of the type.
  const publish = async (key: string, value: string) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await fetch(url(`/configs/${key}`), { method: 'PUT', body: value, headers });
    if (answer.ok) written = ((await answer.json()) as { version: number }).version;
    return answer.status;
  };
  let written = 0;
  // Whoever reads within milliseconds of writing says what he has seen.
  const read = async (key: string) => (await fetch(url(`/configs/${key}?minVersion=${written}`))).text();

  beforeAll(async () => {
    cluster = await Cluster.start({ home });
  });
  afterAll(async () => {
    await cluster?.dispose();
    rmSync(home, { recursive: true, force: true });
  });

  it('says that it is ready, where, and what to try', async () => {
    expect(cluster.output).toMatch(new RegExp(`^Holdfast is ready.*:${cluster.port}`, 'm'));
    await until('what to try', () => (cluster.output.match(/curl /g)?.length ?? 0) >= 3, 5_000);
    expect((await fetch(`${cluster.gateway}/health`)).status).toBe(200);
  });

  it('publishes, reads and watches', async () => {
    expect(await publish('greeting', 'hello')).toBe(201);
    expect(await read('greeting')).toBe('hello');

    const aborting = new AbortController();
    const watch = await fetch(url('/watch?prefix='), { signal: aborting.signal });
    const seen: string[] = [];
    const following = follow(watch, (event) => seen.push(event)).catch((error: unknown) => {
      if (!aborting.signal.aborted) throw error;
    });
    await until('the first bookmark', () => seen.some((event) => event.startsWith('bookmark')), 5_000);
    expect(await publish('greeting', 'hello again')).toBe(200);
    await until('the change', () => seen.some((event) => event.includes('hello again')), 2_000);

    await cluster.kill(await cluster.leader());
    expect(await publish('greeting', 'hello after the leader')).toBe(200);
    expect(await read('greeting')).toBe('hello after the leader');
    await until('the change', () => seen.some((event) => event.includes('after the leader')), 2_000);
    aborting.abort();
    await following;
  });

  it('ends with Ctrl-C, cleanly and whole', async () => {
    await cluster.whole();
    const { code, left, tookMs } = await cluster.stop();
    expect({ code, left }).toEqual({ code: 0, left: [] });
    expect(tookMs).toBeLessThan(15_000);
    expect(cluster.output).not.toContain('by force');
  });

  it('goes on with the data at the second start', async () => {
    const begin = performance.now();
    cluster = await Cluster.start({ home });
    expect(performance.now() - begin).toBeLessThan(20_000);
    expect(await read('greeting')).toBe('hello after the leader');
    const history = await fetch(url('/history/greeting'));
    const { items } = (await history.json()) as { items: unknown[] };
    expect(items).toHaveLength(3);
    expect(await publish('greeting', 'and again')).toBe(200);
  });
});

async function follow(answer: Response, onEvent: (event: string) => void): Promise<void> {
  const parser = new SseParser();
  for await (const bytes of answer.body ?? []) {
    for (const { event, data } of parser.push(bytes)) onEvent(`${event} ${data}`);
  }
}
