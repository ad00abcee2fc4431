import { type ChildProcess, spawn } from 'node:child_process';
import { expect } from 'vitest';
import { type Answer, ApiClient, Cluster, problemCode } from '#libs/testing';

const REQUESTS_PER_S = 500;
const BUSY_LOOPS = 2;
const KEYS = 200;
const VALUE = 'v'.repeat(300);

export interface LoadReport {
  requests: number;
  /** What failed, by kind of request and code. */
  failures: Map<string, number>;
  p50Ms: number;
  p99Ms: number;
  largestMs: number;
}

/**
 * 500 requests a second, each once and without a retry, for a time: four in five are plain reads, one in ten a write, the rest
 * reads that demand the latest version written. Requests are due at fixed times, and the time of each counts from then, so a
 * stall is charged to all that had to wait for it.
 */
export async function steadyLoad(
  gateway: string,
  seconds: number,
  report: (soFar: LoadReport) => void = () => undefined,
): Promise<LoadReport> {
  const client = new ApiClient(gateway, 128);
  const failures = new Map<string, number>();
  const latenciesMs: number[] = [];
  let latestVersion = 0;
  const note = (kind: string, answer: Answer | undefined, error?: unknown) => {
    if (answer && answer.status < 400) return;
    const code = answer ? problemCode(answer) : String((error as { code?: unknown }).code ?? error);
    failures.set(`${kind} ${code}`, (failures.get(`${kind} ${code}`) ?? 0) + 1);
  };
  const send = async (number: number, dueMs: number) => {
    const key = `key-${(number * 7919) % KEYS}`;
    const kind = number % 10 === 0 ? 'write' : number % 10 === 5 ? 'read-latest' : 'read';
    try {
      const answer =
        kind === 'write'
          ? await client.put('load', key, `${VALUE}${number}`, { idempotencyKey: `load-${number}` })
          : await client.get('load', key, kind === 'read' ? {} : { minVersion: latestVersion });
      note(kind, answer);
      if (kind === 'write' && answer.status < 300) {
        latestVersion = Math.max(latestVersion, (JSON.parse(answer.body.toString()) as Versioned).version);
      }
    } catch (error) {
      note(kind, undefined, error);
    }
    latenciesMs.push(performance.now() - dueMs);
  };
  for (let i = 0; i < KEYS; i++) await client.put('load', `key-${i}`, VALUE);
  const beginMs = performance.now();
  const total = seconds * REQUESTS_PER_S;
  const underWay = new Set<Promise<void>>();
  let reportedMs = beginMs;
  for (let sent = 0; sent < total; ) {
    const nowMs = performance.now();
    const due = Math.min(total, Math.floor(((nowMs - beginMs) * REQUESTS_PER_S) / 1_000));
    for (; sent < due; sent++) {
      const request = send(sent, beginMs + (sent * 1_000) / REQUESTS_PER_S);
      underWay.add(request);
      void request.finally(() => underWay.delete(request));
    }
    if (nowMs - reportedMs >= 60_000 && sent < total) {
      reportedMs = nowMs;
      report(reportOf(latenciesMs, failures));
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await Promise.all(underWay);
  await client.close();
  return reportOf(latenciesMs, failures);
}

interface Versioned {
  version: number;
}

function reportOf(latenciesMs: readonly number[], failures: ReadonlyMap<string, number>): LoadReport {
  const sorted = Float64Array.from(latenciesMs).sort();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return {
    requests: sorted.length,
    failures: new Map(failures),
    ...{ p50Ms: at(0.5), p99Ms: at(0.99), largestMs: at(1) },
  };
}

/** Processes that take all the CPU they get, at the priority of everybody else. */
export function startBusyLoops(count = BUSY_LOOPS): { stop(): void } {
  const loops: ChildProcess[] = Array.from({ length: count }, () =>
    spawn(process.execPath, ['-e', 'for(;;);'], { stdio: 'ignore' }),
  );
  return {
    stop() {
      for (const loop of loops) loop.kill('SIGKILL');
    },
  };
}

/** Nobody is deposed and nothing fails beside two busy loops; prints how the requests fared. */
export async function expectCalmUnderLoad(seconds: number): Promise<void> {
  const cluster = await Cluster.start();
  const loops = startBusyLoops();
  const print = (it: LoadReport) =>
    process.stdout.write(
      `${it.requests} requests, ${[...it.failures].map(([what, n]) => `${n} ${what}`).join(', ') || '0'} failed; ` +
        `ms: p50 ${it.p50Ms.toFixed(1)}, p99 ${it.p99Ms.toFixed(1)}, largest ${it.largestMs.toFixed(0)}\n`,
    );
  try {
    const before = await cluster.whole();
    const load = await steadyLoad(cluster.gateway, seconds, print);
    print(load);
    expect(await electionsAfter(cluster, before.term)).toEqual([]);
    expect(Object.fromEntries(load.failures)).toEqual({});
    expect(load.requests).toBe(seconds * REQUESTS_PER_S);
  } finally {
    loops.stop();
    await cluster.dispose();
  }
}

async function electionsAfter(cluster: Cluster, term: number): Promise<unknown[]> {
  const client = new ApiClient(cluster.gateway, 1);
  const { elections } = await client.json<{ elections: { term: number }[] }>('/v1/cluster/elections');
  await client.close();
  return elections.filter((election) => election.term > term);
}
