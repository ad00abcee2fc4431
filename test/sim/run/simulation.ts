import { checkAtEnd } from '../check/at-end.js';
import { Oracle } from '../check/oracle.js';
import { ClientSide } from '../clients/client-side.js';
import { Reader } from '../clients/reader.js';
import { WatchClient } from '../clients/watch-client.js';
import { Writer } from '../clients/writer.js';
import { Cluster } from '../cluster/cluster.js';
import { Injector } from '../faults/inject.js';
import { type Fault, type Plan, planFor } from '../faults/plan.js';
import { enterWorld } from '../world/globals.js';
import { type Violation, World } from '../world/world.js';
import { drainMicrotasks } from './drain.js';

export interface RunOptions {
  seed: number;
  simulatedMs: number;
  /** Only these faults of the seed's plan, and only so much of each: for shrinking. */
  faults?: readonly Fault[] | undefined;
}

export interface RunResult {
  seed: number;
  violation: Violation | undefined;
  hash: string;
  plan: Plan;
  /** Those of the plan, or those that were asked for. */
  planned: readonly Fault[];
  faults: number;
  commits: number;
  acknowledged: number;
  reads: number;
  watchEvents: number;
  terms: number;
  losses: number;
  events: number;
  endedAtMs: number;
  tail: string[];
}

/** The last part of a run is free of faults: everything must have come together by its end. */
export const CALM_MS = 45_000;
const STOP_WRITING_MS = 12_000;
const COMPARE_EVERY_MS = 1_000;
const FULLY_EVERY_MS = 5_000;
/**
 * A node believes a plain read of head, and a primary that was replaced answers some for as long as it is not stopped:
 * what a node says of itself is looked at when such a read vouches for nobody any more.
 */
const VOUCHED_FOR_MS = 4_000;
/** Clients are busy around faults: what comes of one is long over by then. */
const CLIENTS_REST_AFTER_MS = 6_000;
const TAIL_LINES = 120;

/** One run of the whole system: the same options give the same run, event for event. */
export function simulate({ seed, simulatedMs, faults }: RunOptions): RunResult {
  const world = new World(seed, drainMicrotasks);
  enterWorld(world);
  try {
    const plan = planFor(world.rng('plan'), simulatedMs - CALM_MS);
    const planned = faults ?? plan.faults;
    const oracle = new Oracle(world);
    const cluster = new Cluster(world, oracle, plan.shape);
    const side = new ClientSide(world, cluster);
    const writers: Writer[] = [];
    const readers: Reader[] = [];
    const watchers: WatchClient[] = [];
    world.enter(side.process, () => {
      for (let i = 1; i <= 3; i++) writers.push(new Writer(`w${i}`, side, oracle, 1_500));
      writers.push(new Writer('direct', side, oracle, 500, true));
      for (let i = 1; i <= 3; i++) readers.push(new Reader(`reader${i}`, side, oracle, 2_000));
      for (let i = 1; i <= 2; i++) watchers.push(new WatchClient(`watcher${i}`, side, oracle));
    });
    cluster.startAll();
    const injector = new Injector(world, cluster);
    injector.plan(planned);
    side.isCalm = () => injector.isCalmFor(CLIENTS_REST_AFTER_MS);
    const compare = () => {
      for (const [name, { engine }] of cluster.nodes) {
        if (world.nowMs % FULLY_EVERY_MS === 0) oracle.compare(name, engine.host.replica);
        oracle.hasState(name, engine.host.replica, engine.membership.condition);
        if (!cluster.database.isReplacedReadable(VOUCHED_FOR_MS))
          oracle.vouchedFor(name, engine.host.replica, engine.membership.condition);
      }
      oracle.noteVersion();
      world.in(COMPARE_EVERY_MS, compare);
    };
    world.in(COMPARE_EVERY_MS, compare);

    world.runUntil(simulatedMs - CALM_MS);
    world.in(0, () => {
      world.note('calm', 'fault');
      injector.endAll();
      for (const name of cluster.allNames) cluster.start(name);
    });
    world.runUntil(simulatedMs - STOP_WRITING_MS);
    side.stopped = true;
    world.runUntil(simulatedMs);
    if (world.violation === undefined) checkAtEnd(world, cluster, oracle, writers, watchers);
    return {
      seed,
      violation: world.violation,
      hash: world.trace.hash,
      plan,
      planned,
      faults: planned.length,
      commits: oracle.commitCount,
      acknowledged: writers.reduce((sum, writer) => sum + writer.acknowledged, 0),
      reads: readers.reduce((sum, reader) => sum + reader.answered, 0),
      watchEvents: watchers.reduce((sum, watcher) => sum + watcher.events, 0),
      terms: cluster.database.tables.head.term,
      losses: oracle.losses.length,
      events: world.events,
      endedAtMs: world.nowMs,
      tail: world.violation === undefined ? [] : world.trace.tail(TAIL_LINES),
    };
  } finally {
    enterWorld(undefined);
  }
}
