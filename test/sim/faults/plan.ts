import type { Rng } from '#libs/kernel';
import type { Shape } from '../cluster/cluster.js';

/** Something that goes wrong at a time, for a time. A run is its seed and its list of these. */
export type Fault = { id: number; atMs: number; forMs: number } & (
  | { kind: 'crash'; who: string; disk: 'kept' | 'lost' | 'torn' | 'flipped' }
  | { kind: 'pause'; who: string }
  | { kind: 'stop'; who: string }
  | { kind: 'cut'; from: readonly string[]; to: readonly string[]; oneWay: boolean }
  | { kind: 'slow'; who: string; byMs: number }
  | { kind: 'clock'; who: string; byMs: number }
  | { kind: 'bus-down' }
  | { kind: 'bus-faults'; lost: number; doubled: number; late: number }
  | { kind: 'db-down' }
  | { kind: 'db-stall' }
  | { kind: 'db-slow'; byMs: number }
  | {
      kind: 'db-faults';
      committedUnknown: number;
      rolledBackUnknown: number;
      refused: number;
      frozen: number;
    }
  | { kind: 'db-full'; frozenForMs: number }
  | { kind: 'db-failover'; loseMs: number; replacedForMs: number }
  | { kind: 'handover' }
);

export interface Plan {
  shape: Shape;
  faults: Fault[];
}

const FIRST_MS = 8_000;
/** Faults that a run has on average; shorter runs have them closer together, but never all at once. */
const FAULTS = 26;
const LEAST_GAP_MS = 6_000;
/** One run in so many has a database that may lose what it acknowledged. */
const LOSSY_EVERY = 5;

type WithoutTime<F> = F extends Fault ? Omit<F, 'id' | 'atMs'> : never;
type Drawn = WithoutTime<Fault>;
type Draw = (rng: Rng, shape: Shape, isLossy: boolean) => Drawn;

const pick = <T>(rng: Rng, from: readonly T[]): T => from[rng.int(from.length)] as T;
const between = (rng: Rng, low: number, high: number) => low + rng.next() * (high - low);

function names(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${letter}${index + 1}`);
}

function nodesOf(shape: Shape): string[] {
  return [...names('n', shape.voters), ...names('o', shape.observers)];
}

function everyone(shape: Shape): string[] {
  return [...nodesOf(shape), ...names('f', shape.failovers), ...names('g', shape.gateways), 'r1', 's1'];
}

const DRAWS: readonly [weight: number, draw: Draw][] = [
  [
    8,
    (rng, shape) => ({
      kind: 'crash',
      who: pick(rng, nodesOf(shape)),
      disk: pick(rng, ['kept', 'kept', 'kept', 'lost', 'torn', 'flipped'] as const),
      forMs: between(rng, 50, 15_000),
    }),
  ],
  [
    3,
    (rng, shape) => ({
      kind: 'crash',
      who: pick(rng, everyone(shape)),
      disk: 'kept',
      forMs: between(rng, 500, 10_000),
    }),
  ],
  [6, (rng, shape) => ({ kind: 'pause', who: pick(rng, nodesOf(shape)), forMs: between(rng, 100, 8_000) })],
  [3, (rng, shape) => ({ kind: 'pause', who: pick(rng, everyone(shape)), forMs: between(rng, 100, 6_000) })],
  [2, (rng, shape) => ({ kind: 'stop', who: pick(rng, nodesOf(shape)), forMs: between(rng, 1_000, 8_000) })],
  [6, drawCut],
  [
    3,
    (rng, shape) => ({
      kind: 'slow',
      who: pick(rng, everyone(shape)),
      byMs: between(rng, 5, 400),
      forMs: between(rng, 1_000, 15_000),
    }),
  ],
  [
    1,
    (rng, shape) => ({
      kind: 'clock',
      who: pick(rng, nodesOf(shape)),
      byMs: between(rng, -3_600_000, 3_600_000),
      forMs: 0,
    }),
  ],
  [2, (rng) => ({ kind: 'bus-down', forMs: between(rng, 200, 15_000) })],
  [
    4,
    (rng) => ({
      kind: 'bus-faults',
      lost: rng.next() * 0.4,
      doubled: rng.next() * 0.3,
      late: rng.next() * 0.4,
      forMs: between(rng, 2_000, 25_000),
    }),
  ],
  [2, (rng) => ({ kind: 'db-down', forMs: between(rng, 100, 8_000) })],
  [2, (rng) => ({ kind: 'db-stall', forMs: between(rng, 100, 6_000) })],
  [2, (rng) => ({ kind: 'db-slow', byMs: between(rng, 10, 800), forMs: between(rng, 1_000, 10_000) })],
  [
    5,
    (rng) => ({
      kind: 'db-faults',
      committedUnknown: rng.next() * 0.15,
      rolledBackUnknown: rng.next() * 0.15,
      refused: rng.next() * 0.1,
      frozen: rng.next() * 0.1,
      forMs: between(rng, 2_000, 20_000),
    }),
  ],
  // What was sent last is held up, and comes to rest on a disk that has room again.
  [
    2,
    (rng) => ({ kind: 'db-full', frozenForMs: between(rng, 200, 1_000), forMs: between(rng, 5_000, 6_500) }),
  ],
  [
    2,
    (rng, _shape, isLossy) => ({
      kind: 'db-failover',
      loseMs: isLossy ? between(rng, 20, 2_500) : 0,
      replacedForMs: rng.int(2) === 0 ? 0 : between(rng, 200, 4_000),
      forMs: between(rng, 300, 4_000),
    }),
  ],
  [2, () => ({ kind: 'handover', forMs: 0 })],
];

/** Between a few and everybody else, the database and the bus included; in one direction or both. */
function drawCut(rng: Rng, shape: Shape): Drawn {
  const all = [...everyone(shape), 'db', 'bus'];
  const forMs = between(rng, 100, 15_000);
  const oneWay = rng.int(3) === 0;
  if (rng.int(2) === 0) {
    // One from one: a leader from its database, a node from the bus …
    const from = pick(rng, nodesOf(shape));
    const to = pick(rng, ['db', 'bus', ...everyone(shape).filter((name) => name !== from)]);
    return oneWay && rng.int(2) === 0
      ? { kind: 'cut', from: [to], to: [from], oneWay, forMs }
      : { kind: 'cut', from: [from], to: [to], oneWay, forMs };
  }
  const few = all.filter(() => rng.int(4) === 0);
  const from = few.length > 0 ? few : [pick(rng, all)];
  return { kind: 'cut', from, to: all.filter((name) => !from.includes(name)), oneWay, forMs };
}

/** Everything that is to go wrong in a run. */
export function planFor(rng: Rng, untilMs: number): Plan {
  const shape: Shape = {
    voters: 2 + rng.int(3),
    observers: rng.int(4) === 0 ? 1 : 0,
    failovers: 1 + rng.int(3),
    gateways: 1 + rng.int(2),
  };
  const isLossy = rng.int(LOSSY_EVERY) === 0;
  const total = DRAWS.reduce((sum, [weight]) => sum + weight, 0);
  const meanGapMs = Math.max(LEAST_GAP_MS, untilMs / FAULTS);
  const faults: Fault[] = [];
  for (let atMs = FIRST_MS; atMs < untilMs; atMs += 200 - Math.log(1 - rng.next()) * meanGapMs) {
    const fault = drawOf(rng.next() * total)(rng, shape, isLossy);
    faults.push({
      id: faults.length + 1,
      atMs: Math.round(atMs),
      ...fault,
      forMs: Math.round(fault.forMs),
    } as Fault);
  }
  return { shape, faults };
}

function drawOf(chance: number): Draw {
  let left = chance;
  for (const [weight, draw] of DRAWS) {
    left -= weight;
    if (left < 0) return draw;
  }
  return drawCut;
}

export function describeFault({ id, atMs, forMs, kind, ...rest }: Fault): string {
  return `#${id} ${(atMs / 1_000).toFixed(3)} s, ${forMs} ms: ${kind} ${JSON.stringify(rest)}`;
}
