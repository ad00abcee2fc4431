import { cpuSeconds } from '#libs/testing';
import { HttpConnection } from './http-connection.js';

export interface LoadResult {
  perSecond: number;
  /** One per request, milliseconds. */
  latencies: number[];
  /** Status -> count, of answers other than 2xx. */
  unwanted: Record<string, number>;
  /** CPU of each process asked for, microseconds per request. */
  cpuMicros: number[];
}

export interface LoadOptions {
  port: number;
  connections: number;
  seconds: number;
  request: (i: number) => Buffer;
  /** Processes whose CPU is measured. */
  pids?: readonly number[];
}

/** Closed loop: every connection sends its next request as soon as the last one is answered. */
export async function closedLoop(options: LoadOptions): Promise<LoadResult> {
  const connections = await openConnections(options);
  const result = emptyResult();
  const cpu = cpuOf(options.pids ?? []);
  const begin = performance.now();
  const end = begin + options.seconds * 1_000;
  let sent = 0;
  const drive = async (connection: HttpConnection) => {
    while (performance.now() < end) {
      const sentAt = performance.now();
      const status = await connection.send(options.request(sent++));
      note(result, status, performance.now() - sentAt);
    }
  };
  await Promise.all(connections.map(drive));
  return finish(result, connections, begin, cpu);
}

/**
 * Open loop: requests are due at a fixed rate, and each one's latency counts from the moment at which it was due, so
 * that a stall is charged to all who had to wait for it.
 */
export async function openLoop(options: LoadOptions & { ratePerSecond: number }): Promise<LoadResult> {
  const connections = await openConnections(options);
  const result = emptyResult();
  const cpu = cpuOf(options.pids ?? []);
  const begin = performance.now();
  const total = options.seconds * options.ratePerSecond;
  const underWay: Promise<void>[] = [];
  const free = [...connections];
  const waiting: number[] = [];
  const serve = async (connection: HttpConnection, first: number) => {
    for (let due: number | undefined = first; due !== undefined; due = waiting.shift()) {
      const dueAt = begin + (due * 1_000) / options.ratePerSecond;
      const status = await connection.send(options.request(due));
      note(result, status, performance.now() - dueAt);
    }
    free.push(connection);
  };
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - begin) * options.ratePerSecond) / 1_000));
    for (; sent < due; sent++) {
      const connection = free.pop();
      if (connection) underWay.push(serve(connection, sent));
      else waiting.push(sent);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(underWay);
  return finish(result, connections, begin, cpu);
}

function openConnections({ port, connections }: LoadOptions): Promise<HttpConnection[]> {
  return Promise.all(Array.from({ length: connections }, () => HttpConnection.open(port)));
}

function emptyResult(): LoadResult {
  return { perSecond: 0, latencies: [], unwanted: {}, cpuMicros: [] };
}

function note(result: LoadResult, status: number, latencyMs: number): void {
  result.latencies.push(latencyMs);
  if (status < 200 || status >= 300) result.unwanted[status] = (result.unwanted[status] ?? 0) + 1;
}

function cpuOf(pids: readonly number[]): () => number[] {
  const before = pids.map(cpuSeconds);
  return () => pids.map((pid, i) => cpuSeconds(pid) - (before[i] ?? 0));
}

function finish(
  result: LoadResult,
  connections: HttpConnection[],
  begin: number,
  cpu: () => number[],
): LoadResult {
  const seconds = (performance.now() - begin) / 1_000;
  const requests = result.latencies.length;
  for (const connection of connections) connection.close();
  return {
    ...result,
    perSecond: requests / seconds,
    cpuMicros: cpu().map((used) => (used * 1e6) / requests),
  };
}

/** Any answer but 2xx spoils a measurement. */
export function unwantedOf(results: readonly LoadResult[]): string {
  const all = results.flatMap(({ unwanted }) => Object.entries(unwanted));
  return all.length === 0 ? '0' : all.map(([status, count]) => `${count} x ${status}`).join(', ');
}
