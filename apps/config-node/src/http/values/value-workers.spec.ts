import { execFileSync } from 'node:child_process';
import { afterAll, describe, expect, it } from 'vitest';
import { unifiedDiff } from './unified-diff.ts';
import { ValueLane } from './value-lane.js';
import { ValueWorkers } from './value-workers.js';

const workers = new ValueWorkers();
afterAll(() => workers.stop());

/** Legal YAML that keeps any parser busy: a map whose keys are all alike. */
const slowYaml = Buffer.from(`${'? '.repeat(60)}x\n`.repeat(8_000).slice(0, 1024 * 1024));

describe('value workers', { timeout: 30_000 }, () => {
  it('pass what is well-formed and name the place of what is not', async () => {
    await workers.check('application/json', Buffer.from('{"a":1}'));
    await expect(
      workers.check('application/json', Buffer.from('{\n"a":}'), { operation: 3 }),
    ).rejects.toMatchObject({
      code: 'invalid-value',
      members: { operation: 3, line: 2, column: 5, reason: 'a value is expected' },
    });
  });

  it('leave alone what has no form', async () => {
    await workers.check('text/plain', Buffer.from([0xff]));
  });

  it('make a unified diff, or say that it is too large', async () => {
    const patch = await workers.diff({ name: 'a@1', text: 'x\ny\n' }, { name: 'a@2', text: 'x\nz\n' });
    expect(patch).toBe('--- a@1\n+++ a@2\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n');
    // Small enough for the worker of small values: that of large ones yields to everything else on a busy machine.
    const lines = (prefix: string) =>
      Array.from({ length: 2_800 }, (_, i) => `${prefix}${i.toString(36)}`).join('\n');
    await expect(
      workers.diff({ name: 'a', text: lines('x') }, { name: 'b', text: lines('y') }),
    ).rejects.toMatchObject({ code: 'diff-too-large' });
  });

  it('keep hostile values away from the event loop and from everybody else', async () => {
    // CPU time of this thread, not wall time: a busy machine must not fail the test, a blocked loop must.
    let longestMs = 0;
    let last = process.threadCpuUsage();
    const pulse = setInterval(() => {
      const { user, system } = process.threadCpuUsage(last);
      longestMs = Math.max(longestMs, (user + system) / 1_000);
      last = process.threadCpuUsage();
    }, 5);
    const order: string[] = [];
    const hostile = Array.from({ length: 3 }, () => {
      const done = () => order.push('hostile');
      return workers.check('application/yaml', slowYaml).then(done, done);
    });
    const small = workers.check('application/json', Buffer.from('{"a":1}')).then(() => order.push('small'));
    await Promise.all([...hostile, small]);
    clearInterval(pulse);
    expect(longestMs).toBeLessThan(100);
    expect(order[0]).toBe('small');
  });
});

describe('report 1: values on a machine that is too busy', { timeout: 30_000 }, () => {
  it('are neither invalid nor too different: the cluster is busy', async () => {
    const starved = new ValueWorkers();
    const others = childProcesses();
    const large = Buffer.from(`[${'1,'.repeat(50_000)}1]`);
    // Both lanes have their worker; that a busy machine lets it answer in time is not what is asked here.
    await Promise.allSettled([
      starved.check('application/json', Buffer.from('1')),
      starved.check('application/json', large),
    ]);
    for (const pid of childProcesses()) if (!others.includes(pid)) process.kill(pid, 'SIGSTOP');
    const busy = { code: 'cluster-busy', status: 429 };
    await Promise.all([
      expect(starved.check('application/json', large)).rejects.toMatchObject(busy),
      expect(starved.diff({ name: 'a', text: 'x' }, { name: 'b', text: 'y' })).rejects.toMatchObject(busy),
    ]);
    await starved.stop();
  });
});

function childProcesses(): number[] {
  const children = execFileSync('pgrep', ['-P', String(process.pid)], { encoding: 'utf8' });
  return children.trim().split('\n').map(Number);
}

const LANE = {
  cpuMs: 1_000,
  waitMs: 30_000,
  answerMs: 30_000,
  queued: 10,
  queuedBytes: 10_000_000,
  heapMb: 64,
  niceness: 0,
  idleMs: 60_000,
};
const json = { type: 'check' as const, contentType: 'application/json', value: Buffer.from('1') };
const yaml = { type: 'check' as const, contentType: 'application/yaml', value: slowYaml };
const good = { type: 'check', fault: undefined };

/** What a machine with too much to do does to a worker. */
function stopWorker(lane: ValueLane): number {
  const pid = lane.workerPid;
  if (pid === undefined) throw new Error('the lane has no worker');
  process.kill(pid, 'SIGSTOP');
  return pid;
}

describe('a lane', { timeout: 30_000 }, () => {
  it('report 1: ends a worker that uses too much CPU, and goes on with a new one', async () => {
    const lane = new ValueLane({ ...LANE, cpuMs: 100 });
    const outcomes = await Promise.all([lane.execute(json, 1), lane.execute(yaml, 1), lane.execute(json, 1)]);
    await lane.stop();
    expect(outcomes).toEqual([good, 'cpu-limit', good]);
  });

  it('report 1: has no fault to find with a value whose worker did not get the CPU for longer than the limit', async () => {
    const lane = new ValueLane({ ...LANE, cpuMs: 300 });
    await lane.execute(json, 1);
    const worker = stopWorker(lane);
    const outcome = lane.execute(json, 1);
    setTimeout(() => process.kill(worker, 'SIGCONT'), 600);
    expect(await outcome).toEqual(good);
    expect(lane.workerPid).toBe(worker);
    await lane.stop();
  });

  it('report 1: says that a worker was starved when no CPU comes at all, and goes on with a new one', async () => {
    const lane = new ValueLane({ ...LANE, answerMs: 3_000 });
    await lane.execute(json, 1);
    stopWorker(lane);
    expect(await lane.execute(json, 1)).toBe('starved');
    expect(await lane.execute(json, 1)).toEqual(good);
    await lane.stop();
  });

  it('loses a worker to a value that takes too much memory, and goes on with a new one', async () => {
    // However the heap runs out: a thread would sometimes end the whole process with it.
    for (const heapMb of [48, 64, 96, 128]) {
      const lane = new ValueLane({ ...LANE, cpuMs: 20_000, heapMb });
      const outcomes = await Promise.all([lane.execute(yaml, 1), lane.execute(json, 1)]);
      await lane.stop();
      expect(outcomes).toEqual(['out-of-memory', good]);
    }
  });

  it('lets an idle worker go, and starts another when there is work', async () => {
    const lane = new ValueLane({ ...LANE, idleMs: 20 });
    await lane.execute(json, 1);
    await expect.poll(() => lane.workerPid).toBeUndefined();
    await expect(lane.execute(json, 1)).resolves.toEqual(good);
    await lane.stop();
  });

  it('does not begin what has waited for too long', async () => {
    const lane = new ValueLane({ ...LANE, cpuMs: 400, waitMs: 50 });
    const [, second] = await Promise.all([lane.execute(yaml, 1), lane.execute(yaml, 1)]);
    await lane.stop();
    expect(second).toBe('not-reached');
  });

  it('refuses what it has no room for, instead of growing', async () => {
    const lane = new ValueLane({ ...LANE, queued: 2, queuedBytes: 100 });
    const running = [lane.execute(json, 1), lane.execute(json, 60)];
    expect(() => lane.execute(json, 60)).toThrow('cluster-busy');
    running.push(lane.execute(json, 1));
    expect(() => lane.execute(json, 1)).toThrow('cluster-busy');
    await Promise.all(running);
    await lane.stop();
  });
});

describe('unifiedDiff', () => {
  it('of equal texts has a header and nothing else', () => {
    expect(unifiedDiff({ name: 'a', text: 'x' }, { name: 'b', text: 'x' })).toBe('--- a\n+++ b\n');
  });
});
