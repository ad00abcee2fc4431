import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '#libs/testing';
import { ATTACKS, prepareAttacked, runAttack } from './attacks.js';

const SECONDS = Number(process.env.ATTACK_SECONDS ?? 4);

/** What each attack costs the plain reads beside it is printed, not asserted: it is a matter of the machine. */
describe('100 of each attack in parallel move no leader and fail no plain read', () => {
  let cluster: Cluster;
  let term: number;

  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.whole();
    await prepareAttacked(cluster);
    ({ term } = await cluster.view());
  });
  afterAll(() => cluster?.dispose());

  it.each(ATTACKS)('$name', async (attack) => {
    const { statuses, reads, failedReads, p50Ms, p99Ms } = await runAttack(cluster, attack, SECONDS);
    const answered = Object.entries(statuses).map(([status, count]) => `${count} x ${status}`);
    process.stdout.write(
      `${attack.name}: ${answered.join(', ')}; ${reads} plain reads beside: p50 ${p50Ms.toFixed(1)}, p99 ${p99Ms.toFixed(1)} ms\n`,
    );
    const sent = Object.values(statuses).reduce((sum, count) => sum + count, 0);
    expect(sent).toBeGreaterThanOrEqual(100);
    expect(failedReads).toEqual({});
    const { nodes, term: now } = await cluster.whole();
    expect(now).toBe(term);
    expect(nodes.map(({ status }) => status)).toEqual(nodes.map(() => 'healthy'));
  });
});
