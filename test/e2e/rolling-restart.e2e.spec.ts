import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecoveryStep } from '#libs/contracts';
import { Cluster, pause, ROOT, Workload } from '#libs/testing';
import { expectOnlyFailures, expectSoundHistory, isBrokenConnection } from './expectations.js';

const SERVERS = ['postgres', 'nats', 'redis'];
/** Of a machine that has nothing else to do some 600; what matters here is that none fails. */
const LEAST_PER_S = 100;

/** Starts `npm run rolling-restart` and waits for its end. */
function rollingRestart(home: string): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'dist/apps/local/src/rolling-restart.js')], {
    env: { PATH: process.env.PATH, HOLDFAST_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}

describe('a rolling restart', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start({ env: { HOLDFAST_FLAP_SUPPRESS: '2000' } });
    await cluster.whole();
  });
  afterAll(() => cluster?.dispose());

  it('gives every process anew, and fails no request through the gateway', async () => {
    const names = readdirSync(join(cluster.home, 'run'))
      .filter((file) => file.endsWith('.pid'))
      .map((file) => basename(file, '.pid'))
      .filter((name) => !SERVERS.includes(name));
    expect(names.length).toBeGreaterThan(9);
    const before = names.map((name) => cluster.pid(name));
    const workload = await Workload.start({
      ...{ name: 'rolling', seed: 21, gateway: cluster.gateway, nodes: await cluster.addresses() },
      ...{ gatewayWriters: 8, directWriters: 1, pauseMs: 10 },
    });
    await pause(2_000);
    const begunMs = performance.now();
    const { code, output } = await rollingRestart(cluster.home);
    const tookS = (performance.now() - begunMs) / 1_000;
    const requests = [...workload.history.writes, ...workload.history.reads].filter(
      ({ startedAt }) => startedAt >= begunMs,
    );
    process.stdout.write(
      `${output}${requests.length} requests in ${tookS.toFixed(1)} s: ${(requests.length / tookS).toFixed(0)}/s; ` +
        `longest time without an acknowledged write ${workload.longestGapMs(begunMs).toFixed(0)} ms\n`,
    );
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('were restarted in') });
    expect(names.filter((name, i) => cluster.pid(name) === before[i])).toEqual([]);
    await pause(1_000);
    await expectSoundHistory(workload);
    // A gateway that leaves tells its watchers where to go on: that is how they miss nothing.
    expectOnlyFailures(workload, (failure) => isBrokenConnection(failure) || failure.code === 'end-draining');
    expect(requests.length / tookS).toBeGreaterThan(LEAST_PER_S);
  });

  it('is no failure of anybody: nothing is recovered, nobody kept out', async () => {
    const answer = await fetch(`${cluster.gateway}/v1/cluster/recoveries`);
    const { recoveries } = (await answer.json()) as { recoveries: RecoveryStep[] };
    expect(recoveries).toEqual([]);
    expect((await cluster.whole()).nodes.every(({ status }) => status === 'healthy')).toBe(true);
  });

  it('is refused on a cluster that is not well, and when there is none', async () => {
    const down = cluster.keepDown('node-2');
    await expect
      .poll(async () => (await cluster.view()).nodes.find(({ id }) => id === 'node-2')?.status)
      .toBe('failed');
    const before = cluster.pid('node-1');
    const refused = await rollingRestart(cluster.home);
    await down.release();
    expect(refused).toMatchObject({
      code: 1,
      output: expect.stringMatching(/nothing was restarted: node-2 is failed/),
    });
    expect(cluster.pid('node-1')).toBe(before);
    const nowhere = await rollingRestart(join(cluster.home, 'nowhere'));
    expect(nowhere).toMatchObject({ code: 1, output: expect.stringContaining('no cluster of this release') });
  });
});
