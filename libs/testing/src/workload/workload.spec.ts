import { afterEach, describe, expect, it } from 'vitest';
import { seededRng } from '#libs/kernel';
import { until } from '../cluster/wait.js';
import type { ViolationKind } from '../history/violation.js';
import { FakeHoldfast, type Flaw } from './fake-holdfast.js';
import { Workload } from './workload.js';

let fake: FakeHoldfast | undefined;

afterEach(() => fake?.close());

/** A short workload against a fake that is wrong in one way, or in none. */
async function run(flaw?: Flaw) {
  const rng = seededRng(7);
  fake = new FakeHoldfast(() => rng.next());
  fake.flaw = flaw;
  const address = await fake.listen();
  const workload = await Workload.start({
    name: 'test',
    seed: 1,
    gateway: address,
    nodes: [address],
    pauseMs: 1,
    settleMs: 2_000,
  });
  // By amount, not by time: a busy machine takes longer for it.
  await until('enough was done', () => workload.history.writes.length > 400, 20_000);
  const violations = await workload.finish();
  return { workload, kinds: new Set(violations.map(({ kind }) => kind)) };
}

describe('Workload', { timeout: 30_000 }, () => {
  it('finds nothing wrong with a system that is right', async () => {
    const { workload, kinds } = await run();
    expect([...kinds]).toEqual([]);
    expect(workload.failures).toEqual([]);
    const { writes, reads, lists, watches } = workload.history;
    expect(writes.filter(({ outcome }) => outcome.type === 'ok').length).toBeGreaterThan(100);
    expect(writes.some(({ outcome }) => outcome.type === 'refused')).toBe(true);
    expect(reads.some(({ outcome }) => outcome.type === 'value')).toBe(true);
    expect(lists.length).toBeGreaterThan(10);
    expect(watches.every(({ events }) => events.some(({ type }) => type === 'change'))).toBe(true);
  });

  it.each<[Flaw, ViolationKind]>([
    ['loses', 'lost'],
    ['doubles', 'doubled'],
    ['refuses-after', 'refused-but-took-effect'],
    ['reads-stale', 'stale-linearizable-read'],
    ['watch-skips', 'watch-missed'],
    ['watch-repeats', 'watch-repeated'],
  ])('a system that %s: %s', async (flaw, kind) => {
    const { kinds } = await run(flaw);
    expect([...kinds]).toContain(kind);
  });
});
