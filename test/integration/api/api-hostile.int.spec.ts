import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ApiLab, type ApiNode, openApiLab } from './api-lab.js';
import { configPath, requestsTo } from './requests.js';

let lab: ApiLab;
let node: ApiNode;

beforeAll(async () => {
  lab = await openApiLab();
  node = await lab.node('node-1');
  await lab.elect(node);
});
afterAll(() => lab.close());

const { request, put } = requestsTo(() => node);

/** Legal YAML of 1 MiB that keeps a parser busy for about as long as it may. */
const hostile = Buffer.from(`${'? '.repeat(60)}x\n`.repeat(8_000).slice(0, 1_000_000));

it('ten hostile values at once delay nobody else, and cost the leader nothing', async () => {
  const { term } = await lab.storage.store.readHead();
  await put('calm', 'x');
  // CPU time that this thread spends between two pulses: what any other request would have had to wait.
  let longestMs = 0;
  let last = process.threadCpuUsage();
  const pulse = setInterval(() => {
    const { user, system } = process.threadCpuUsage(last);
    longestMs = Math.max(longestMs, (user + system) / 1_000);
    last = process.threadCpuUsage();
  }, 5);

  let under = true;
  const answers = Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      request('PUT', configPath(`hostile/${i}`), hostile, { 'content-type': 'application/yaml' }),
    ),
  ).finally(() => {
    under = false;
  });
  const [writes, reads] = [new Set<number>(), new Set<number>()];
  let served = 0;
  while (under) {
    writes.add((await put('calm', '{"n":1}', { 'content-type': 'application/json' })).status);
    reads.add((await request('GET', configPath('calm'))).status);
    served += 1;
  }
  clearInterval(pulse);

  expect((await answers).every(({ status }) => [201, 422, 429].includes(status))).toBe(true);
  expect([...reads]).toEqual([200]);
  // A machine with other things to do may be too slow to commit in time; nothing may be refused.
  expect([...writes].filter((status) => status !== 504)).toEqual([200]);
  expect(served).toBeGreaterThan(10);
  expect(longestMs).toBeLessThan(100);
  expect(await lab.storage.store.readHead()).toMatchObject({ term, leaderId: 'node-1' });
}, 60_000);
