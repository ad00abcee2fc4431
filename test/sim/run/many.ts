import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import type { RunResult } from './simulation.js';

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

/** Seeds that a worker is given at a time. */
const CHUNK = 5;

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
  const chunk = () => {
    if (next >= first + count || totals.failed.length >= stopAfterFailures) return undefined;
    const seeds = { first: next, count: Math.min(CHUNK, first + count - next) };
    next += seeds.count;
    return seeds;
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
  const living = Array.from({ length: Math.min(workers, Math.ceil(count / CHUNK)) }, () =>
    runWorker(simulatedMs, chunk, take),
  );
  await Promise.all(living);
  return totals;
}

type Seeds = { first: number; count: number };

function runWorker(
  simulatedMs: number,
  chunk: () => Seeds | undefined,
  take: (told: Told) => void,
): Promise<void> {
  const child = fork(process.argv[1] ?? '', ['--worker', '--ms', String(simulatedMs)], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    const give = () => {
      const seeds = chunk();
      if (seeds === undefined) child.disconnect();
      else child.send(seeds);
    };
    let isOver = false;
    child.on('message', (message: Told | 'chunk-done') => {
      if (message === 'chunk-done') give();
      else take(message);
    });
    child.on('disconnect', () => {
      isOver = true;
    });
    child.on('error', reject);
    child.on('exit', (code) =>
      isOver && code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`)),
    );
    give();
  });
}
