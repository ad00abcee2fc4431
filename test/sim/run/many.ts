import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import type { RunResult } from './simulation.js';

/** A run makes much that is soon forgotten. Nobody reads where an error came from: a failing seed is run again for that. */
const WORKER_FLAGS = ['--max-semi-space-size=64', '--stack-trace-limit=0'];

/** What a worker tells of one run. */
export type Told = Omit<RunResult, 'violation'> & { broken: string | undefined };

export interface Totals {
  runs: number;
  failed: Told[];
  faults: number;
  simulatedMs: number;
  events: number;
  commits: number;
  acknowledged: number;
  reads: number;
  watchEvents: number;
  terms: number;
  losses: number;
}

export interface ManyOptions {
  first: number;
  count: number;
  simulatedMs: number;
  workers?: number;
  /** No further run begins once so many have failed. */
  stopAfterFailures: number;
  onProgress: (totals: Totals) => void;
}

/** Runs many seeds in processes of their own, one for each core. */
export async function runMany(options: ManyOptions): Promise<Totals> {
  const {
    first,
    count,
    simulatedMs,
    workers = availableParallelism(),
    stopAfterFailures,
    onProgress,
  } = options;
  const totals: Totals = {
    runs: 0,
    failed: [],
    faults: 0,
    simulatedMs: 0,
    events: 0,
    commits: 0,
    acknowledged: 0,
    reads: 0,
    watchEvents: 0,
    terms: 0,
    losses: 0,
  };
  let next = first;
  const seed = () => {
    if (next >= first + count || totals.failed.length >= stopAfterFailures) return undefined;
    return next++;
  };
  const take = (told: Told) => {
    totals.runs++;
    if (told.broken !== undefined) totals.failed.push(told);
    totals.faults += told.faults;
    totals.simulatedMs += told.endedAtMs;
    for (const name of [
      'events',
      'commits',
      'acknowledged',
      'reads',
      'watchEvents',
      'terms',
      'losses',
    ] as const) {
      totals[name] += told[name];
    }
    onProgress(totals);
  };
  const living = Array.from({ length: Math.min(workers, count) }, () => runWorker(simulatedMs, seed, take));
  await Promise.all(living);
  return totals;
}

function runWorker(
  simulatedMs: number,
  seed: () => number | undefined,
  take: (told: Told) => void,
): Promise<void> {
  const args = ['--worker', '--minutes', String(simulatedMs / 60_000)];
  const child = fork(process.argv[1] ?? '', args, {
    stdio: 'inherit',
    execArgv: [...process.execArgv, ...WORKER_FLAGS],
  });
  return new Promise((resolve, reject) => {
    let isOver = false;
    const give = () => {
      const next = seed();
      if (next !== undefined) child.send(next);
      else {
        isOver = true;
        child.disconnect();
      }
    };
    child.on('message', (told: Told) => {
      take(told);
      give();
    });
    child.on('error', reject);
    child.on('exit', (code) =>
      isOver && code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`)),
    );
    give();
  });
}
