import { parseArgs } from 'node:util';
import { describeFault, type Fault } from '../faults/plan.js';
import { realNowMs, realSetImmediate } from '../world/globals.js';
import { runMany, type Told, type Totals } from './many.js';
import { shrink } from './shrink.js';
import { type RunOptions, type RunResult, simulate } from './simulation.js';

const USAGE = `npm run sim -- --seed N          replay one run
npm run sim -- --seeds N         run N seeds on all cores
  --faults JSON  with --seed: only these faults, as a failure prints them
  --first N      first of the seeds (1)
  --minutes N    simulated minutes of each run (10)
  --workers N    processes (one for each core)
  --keep-going   do not stop at the first failure
  --no-shrink    print the failing run as it is
  --json         print the totals as JSON`;

const OPTIONS = {
  seed: { type: 'string' },
  seeds: { type: 'string' },
  faults: { type: 'string' },
  first: { type: 'string', default: '1' },
  minutes: { type: 'string', default: '10' },
  workers: { type: 'string' },
  'keep-going': { type: 'boolean', default: false },
  'no-shrink': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  worker: { type: 'boolean', default: false },
} as const;

const PROGRESS_EVERY_MS = 10_000;
const TAIL_LINES = 60;

export function runMain(args: string[]): void {
  const { values } = parseArgs({ args, options: OPTIONS });
  const simulatedMs = Number(values.minutes) * 60_000;
  const patience = values['keep-going'] ? Number.POSITIVE_INFINITY : 1;
  // Outside of any promise: see run/drain.
  if (values.worker) serve(simulatedMs);
  else if (values.seed !== undefined) {
    const seed = Number(values.seed);
    const faults: Fault[] | undefined = values.faults === undefined ? undefined : JSON.parse(values.faults);
    realSetImmediate(() => replay({ seed, simulatedMs, faults }, !values['no-shrink']));
  } else if (values.seeds !== undefined) {
    const many = {
      first: Number(values.first),
      count: Number(values.seeds),
      simulatedMs,
      stopAfterFailures: patience,
      ...(values.workers === undefined ? {} : { workers: Number(values.workers) }),
    };
    search(many, values.json).then(
      (failed) => {
        const [worst] = failed;
        if (worst === undefined) return;
        process.exitCode = 1;
        if (!values['no-shrink']) realSetImmediate(() => replay({ seed: worst.seed, simulatedMs }, true));
      },
      (error: unknown) => {
        console.error(error);
        process.exitCode = 2;
      },
    );
  } else console.log(USAGE);
}

/** A worker: is given one seed after the other, and tells of each run. */
function serve(simulatedMs: number): void {
  process.on('message', (seed: number) => {
    realSetImmediate(() => {
      const { violation, ...rest } = simulate({ seed, simulatedMs });
      const told: Told = { ...rest, tail: [], broken: violation?.message };
      process.send?.(told);
    });
  });
}

async function search(
  options: Omit<Parameters<typeof runMany>[0], 'onProgress'>,
  json: boolean,
): Promise<Told[]> {
  const begunMs = realNowMs();
  let saidMs = begunMs;
  const onProgress = (totals: Totals) => {
    const nowMs = realNowMs();
    const failure = totals.failed.at(-1);
    if (!json && nowMs - saidMs > PROGRESS_EVERY_MS) {
      saidMs = nowMs;
      console.log(summary(totals, nowMs - begunMs));
    }
    if (!json && failure !== undefined && !reported.has(failure.seed)) {
      reported.add(failure.seed);
      console.log(
        `seed ${failure.seed}: ${failure.broken}\n  ${replayCommand(failure.seed, options.simulatedMs)}`,
      );
    }
  };
  const reported = new Set<number>();
  const totals = await runMany({ ...options, onProgress });
  if (json) {
    const failed = totals.failed.map(({ seed, broken }) => ({ seed, broken }));
    console.log(JSON.stringify({ ...totals, failed, tookMs: Math.round(realNowMs() - begunMs) }));
  } else console.log(summary(totals, realNowMs() - begunMs));
  return totals.failed;
}

function summary(totals: Totals, tookMs: number): string {
  const { runs, failed, faults, simulatedMs, commits, acknowledged, reads, watchEvents, terms, losses } =
    totals;
  const perS = (runs / tookMs) * 1_000;
  return [
    `${runs} runs, ${failed.length} failed, ${faults} faults (${(faults / Math.max(1, runs)).toFixed(1)} a run)`,
    `${commits} changes, ${acknowledged} acknowledged, ${reads} reads, ${watchEvents} watch events`,
    `${terms} terms, ${losses} losses of the database`,
    `${perS.toFixed(2)} runs/s, ${((simulatedMs / tookMs / 60_000) * 1_000).toFixed(1)} simulated minutes/s`,
  ].join('; ');
}

function replay(options: RunOptions, mayShrink: boolean): void {
  const { seed, simulatedMs } = options;
  const result = simulate(options);
  console.log(`seed ${seed}: ${result.violation?.message ?? 'nothing wrong'}`);
  console.log(
    `trace ${result.hash}, ${result.events} events, ${result.faults} faults, ${result.commits} changes`,
  );
  if (result.violation === undefined) return;
  process.exitCode = 1;
  const onStep = (left: number) => console.log(`  ... ${left} faults`);
  printFailure(mayShrink ? shrink(result, simulatedMs, onStep) : result, simulatedMs);
}

function printFailure(result: RunResult, simulatedMs: number): void {
  console.log('\nfaults:');
  for (const fault of result.planned) console.log(`  ${describeFault(fault)}`);
  console.log('\nthe end of the trace:');
  for (const line of result.tail.slice(-TAIL_LINES)) console.log(line);
  const command = replayCommand(result.seed, simulatedMs);
  console.log(`\n${result.violation?.message}\nreplay: ${command}`);
  console.log(`shrunk: ${command} --faults '${JSON.stringify(result.planned)}'`);
}

function replayCommand(seed: number, simulatedMs: number): string {
  const minutes = simulatedMs / 60_000;
  return `npm run sim -- --seed ${seed}${minutes === 10 ? '' : ` --minutes ${minutes}`}`;
}
