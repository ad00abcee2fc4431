import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRng } from '#libs/kernel';
import { Cluster, pause, Workload } from '#libs/testing';
import { expectNoGatewayFailures, expectSoundHistory } from './expectations.js';
import { CONTROL, FailureWatch, stall } from './stalls.js';

const MINUTES = 10;
const SEED = 7;

describe(`stalls of 4 s of random control processes for ${MINUTES} minutes (seed ${SEED})`, () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.whole();
  });
  afterAll(() => cluster?.dispose());

  it('fail no node and move no leader', async () => {
    const rng = seededRng(SEED);
    const { term } = await cluster.view();
    const watch = new FailureWatch(cluster).start();
    const workload = await Workload.start({
      name: 'long-stalls',
      seed: SEED,
      gateway: cluster.gateway,
      nodes: await cluster.addresses(),
      pauseMs: 100,
    });
    const untilMs = performance.now() + MINUTES * 60_000;
    let stalls = 0;
    while (performance.now() < untilMs) {
      await stall(cluster, CONTROL[rng.int(CONTROL.length)] ?? '', 4_000);
      await pause(rng.int(2_000));
      stalls++;
    }
    process.stdout.write(`${stalls} stalls\n`);
    expect(await watch.stop()).toEqual([]);
    expect((await cluster.view()).term).toBe(term);
    await expectSoundHistory(workload);
    expectNoGatewayFailures(workload);
  });
});
