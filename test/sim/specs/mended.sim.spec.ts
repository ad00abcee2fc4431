import { expect, it } from 'vitest';
import type { Edit } from '../bundle.mjs';
import type { Fault } from '../faults/plan.js';
import { runSim, withSimulation } from './run-sim.js';

/*
 * What the simulation found in Holdfast itself, each as the few faults that it takes: nothing goes wrong, and with the
 * repair taken out again the same rule breaks as before.
 */
interface Mended {
  name: string;
  seed: number;
  minutes: number;
  faults: Fault[];
  /** The repair, undone. */
  undone: Edit;
  broken: string;
}

type WithoutId<F> = F extends Fault ? Omit<F, 'id'> : never;

function faults(...all: WithoutId<Fault>[]): Fault[] {
  return all.map((fault, i) => ({ id: i + 1, ...fault }));
}

function crash(who: string, atMs: number, forMs: number): WithoutId<Fault> {
  return { kind: 'crash', who, disk: 'kept', atMs, forMs };
}

const FRESHNESS = 'apps/config-node/src/domain/head-freshness.ts';

const MENDED: Mended[] = [
  {
    name: 'a leader that is cut off from the database vouches for its followers',
    seed: 208,
    minutes: 5,
    faults: faults({
      kind: 'cut',
      from: ['n1', 'n2', 'n4', 'o1', 'f1', 'bus'],
      to: ['n3', 'f2', 'g1', 'g2', 'r1', 's1', 'db'],
      oneWay: false,
      atMs: 168_536,
      forMs: 6_756,
    }),
    undone: { file: FRESHNESS, find: 'this.seenAtMs - (confirmedAgoMs ?? 0)', put: 'this.seenAtMs' },
    broken: 'a node is well when it is level',
  },
  {
    name: 'a node that wakes takes what waited for it for news',
    seed: 1,
    minutes: 2,
    faults: faults(
      { kind: 'cut', from: ['n2'], to: ['db', 's1'], oneWay: false, atMs: 20_000, forMs: 12_000 },
      { kind: 'pause', who: 'n2', atMs: 20_000, forMs: 7_000 },
      { kind: 'bus-faults', lost: 1, doubled: 0, late: 0, atMs: 22_000, forMs: 10_000 },
    ),
    undone: {
      file: FRESHNESS,
      find: 'if (lateMs <= STALLED_MS) return false;',
      put: 'if (lateMs <= Number.POSITIVE_INFINITY) return false;',
    },
    broken: 'a node is well when it is level',
  },
  {
    // The election of n2 is lost by the database, and nobody who lives remembers it but the gateways; they do not hear
    // of the next one, which is of the same term.
    name: 'a gateway keeps to an election that the database has lost',
    seed: 2,
    minutes: 2,
    faults: faults(
      crash('n1', 20_000, 3_500),
      { kind: 'db-failover', loseMs: 59, replacedForMs: 0, atMs: 20_060, forMs: 1_500 },
      { kind: 'cut', from: ['g1', 'g2'], to: ['bus'], oneWay: false, atMs: 20_060, forMs: 15_000 },
      crash('n2', 20_065, 9_000),
      ...['n3', 'n4', 'f1', 'f2', 'f3'].map((who) => crash(who, 20_065, 2_500)),
    ),
    undone: {
      file: 'apps/gateway/src/domain/nodes/leader-view.ts',
      find: 'if (!contradicts || notBeforeMs <= this.knownAtMs) return false;',
      put: 'if (!contradicts || notBeforeMs <= Number.POSITIVE_INFINITY) return false;',
    },
    broken: 'everybody comes together',
  },
];

it.each(MENDED)('$name: no more', async ({ seed, minutes, faults: those, undone, broken }) => {
  const args = ['--seed', String(seed), '--minutes', String(minutes), '--faults', JSON.stringify(those)];
  const run = (file: string) => runSim(file, [...args, '--no-shrink']);
  expect(await withSimulation([], run)).toContain(`seed ${seed}: nothing wrong`);
  expect(await withSimulation([undone], run)).toContain(`seed ${seed}: ${broken}`);
});
