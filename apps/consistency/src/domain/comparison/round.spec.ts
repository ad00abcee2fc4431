import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ConsistencyReason, Difference, KeyState } from '#libs/contracts';
import { sha256 } from '#libs/kernel';
import { BUCKET_PARTS, bucketOf, DIGEST_FORMAT, PartDigests, partOf, StateDigest } from '#libs/replica';
import type { Place } from '../place.js';
import type { ReferenceEntry } from '../reference/reference.js';
import { type KeyName, nameOf } from './pin.js';
import type { RootAnswer } from './root-comparison.js';
import { type NodeOutcome, Round, type Truths } from './round.js';
import { NO_SUSPICION } from './suspicion.js';

const PIN = { version: 40, chain: 'c'.repeat(64) };
const SETTINGS = { format: DIGEST_FORMAT, maxBuckets: 101 };

type State = Map<string, KeyName & KeyState>;

const stateOf = (seed: string, version: number): KeyState => ({
  ...{ version, contentType: 'text/plain' },
  checksum: `sha256:${sha256(seed).toString('hex')}`,
});
const put = (state: State, key: string, of: KeyState): State =>
  state.set(nameOf({ namespace: 'app', key }), { namespace: 'app', key, ...of });
function truth(keys: number): State {
  const state: State = new Map();
  for (let i = 0; i < keys; i++) put(state, `k${i}`, stateOf(`v${i}`, i + 1));
  return state;
}

/** A node as far as a round sees it: its digests are of `digested`, its keys those that it holds. */
interface Node {
  holds: State;
  digested?: State;
  damaged?: number[];
  instead?: ConsistencyReason;
  chain?: string;
  format?: number;
  version?: number;
  /** Answers about its root only. */
  mute?: boolean;
  /** Is of the release before. */
  knowsNoParts?: boolean;
}

function inPlace(state: State, { bucket, part }: Place): (KeyName & KeyState)[] {
  return [...state.values()].filter(
    ({ namespace, key }) =>
      bucketOf(namespace, key) === bucket && (part === null || partOf(namespace, key) === part),
  );
}

function partsOf(entries: readonly (KeyName & KeyState)[]): Buffer {
  const parts = new PartDigests();
  for (const entry of entries) parts.add(entry);
  return parts.cut();
}

const digests = new WeakMap<State, StateDigest>();
function digestOf(state: State): StateDigest {
  const known = digests.get(state);
  if (known) return known;
  const digest = new StateDigest();
  for (const entry of state.values()) digest.add(bucketOf(entry.namespace, entry.key), entry);
  digests.set(state, digest);
  return digest;
}

function rootOf({ holds, digested, damaged, instead, chain, format, version }: Node): RootAnswer {
  if (instead) return { known: false, reason: instead };
  return {
    known: true,
    format: format ?? DIGEST_FORMAT,
    version: version ?? PIN.version,
    chain: chain ?? PIN.chain,
    hash: digestOf(digested ?? holds).root,
    damagedBuckets: damaged ?? [],
  };
}

interface Run {
  outcomes: NodeOutcome[];
  /** How often each kind of question was asked. */
  asked: Record<string, number>;
}

/** Plays nodes and database. `unknownKeys`: the log is compacted before them. */
function run(
  nodes: Record<string, Node>,
  right: State | undefined,
  settings = SETTINGS,
  unknownKeys: readonly string[] = [],
  suspicion = NO_SUSPICION,
): Run {
  const round = new Round(PIN, Object.keys(nodes), settings, suspicion);
  const asked: Record<string, number> = {};
  const answers = <T>(of: readonly string[], answer: (node: Node) => T): Map<string, T> =>
    new Map(of.map((nodeId) => [nodeId, answer(nodes[nodeId] as Node)]));
  for (let step = round.step; step.ask !== 'nothing'; step = round.step) {
    const kind = step.ask;
    asked[kind] = (asked[kind] ?? 0) + step.of.length;
    if (step.ask === 'roots') round.takeRoots(answers(step.of, rootOf));
    if (step.ask === 'buckets')
      round.takeBuckets(
        answers(step.of, (node) =>
          node.mute ? undefined : digestOf(node.digested ?? node.holds).cutBuckets(),
        ),
      );
    if (step.ask === 'parts') {
      const { bucket } = step;
      round.takeParts(
        answers(step.of, (node) =>
          node.mute || node.knowsNoParts ? undefined : partsOf(inPlace(node.holds, { bucket, part: null })),
        ),
      );
    }
    if (step.ask === 'keys') {
      const { place } = step;
      round.takeKeys(answers(step.of, (node) => (node.mute ? undefined : inPlace(node.holds, place))));
    }
    if (step.ask === 'truth') round.takeTruth(right && truthsOf(step.of, right, unknownKeys));
  }
  return { outcomes: round.outcomes(), asked };
}

function truthsOf(keys: readonly KeyName[], right: State, unknownKeys: readonly string[]): Truths {
  return new Map(
    keys.map(({ namespace, key }) => {
      const name = nameOf({ namespace, key });
      const found = right.get(name);
      const of: ReferenceEntry = unknownKeys.includes(key)
        ? { state: 'unknown' }
        : found === undefined
          ? { state: 'absent' }
          : { state: 'present', expected: pick(found), by: 'log' };
      return [name, { namespace, key, truth: of }];
    }),
  );
}

function pick({ version, contentType, checksum }: KeyState): KeyState {
  return { version, contentType, checksum };
}

const results = ({ outcomes }: Run) =>
  outcomes.map(({ nodeId, result, reason }) => `${nodeId} ${result} ${reason}`);
const found = ({ outcomes }: Run, nodeId: string) =>
  outcomes
    .find((outcome) => outcome.nodeId === nodeId)
    ?.differences.map(({ key, class: kind }) => `${key} ${kind}`)
    .sort();

describe('a round', () => {
  it('ends with one small question per node when all hold the same', () => {
    const right = truth(30);
    const all = run({ a: { holds: right }, b: { holds: right }, c: { holds: right } }, right);
    expect(results(all)).toEqual(['a match null', 'b match null', 'c match null']);
    expect(all.asked).toEqual({ roots: 3 });
  });

  it('finds what is missing, mismatching and extra, with what should be there and what is', () => {
    const right = truth(30);
    const holds = put(put(truth(30), 'k3', stateOf('other', 4)), 'x', stateOf('x', 9));
    holds.delete(nameOf({ namespace: 'app', key: 'k7' }));
    const some = run({ a: { holds: right }, b: { holds } }, right);
    expect(results(some)).toEqual(['a match null', 'b mismatch root']);
    const [, b] = some.outcomes;
    expect(b?.differences).toContainEqual({
      ...{ namespace: 'app', key: 'k3', class: 'mismatch' },
      ...{ expected: stateOf('v3', 4), found: stateOf('other', 4) },
    });
    expect(found(some, 'b')).toEqual(['k3 mismatch', 'k7 missing', 'x extra']);
  });

  it('finds a version or a type that is wrong, not only a value', () => {
    const right = truth(4);
    const holds = put(truth(4), 'k1', { ...stateOf('v1', 2), contentType: 'application/json' });
    put(holds, 'k2', stateOf('v2', 39));
    const some = run({ a: { holds: right }, b: { holds } }, right);
    expect(found(some, 'b')).toEqual(['k1 mismatch', 'k2 mismatch']);
  });

  it('believes the truth, not the many', () => {
    const right = truth(10);
    const wrong = put(truth(10), 'k1', stateOf('wrong', 2));
    const nodes = { a: { holds: wrong }, b: { holds: wrong }, c: { holds: wrong }, d: { holds: right } };
    const all = run(nodes, right);
    expect(results(all)).toEqual([
      ...['a mismatch root', 'b mismatch root', 'c mismatch root'],
      'd match null',
    ]);
    expect(found(all, 'b')).toEqual(['k1 mismatch']);
    // One node of each group is asked where.
    expect(all.asked).toMatchObject({ buckets: 2, keys: 2 });
  });

  it.each<[string, Node, string]>([
    ['answers nothing', { holds: truth(3), instead: 'unreachable' }, 'unreachable'],
    ['has not reached the version', { holds: truth(3), instead: 'not-reached' }, 'not-reached'],
    ['has forgotten it', { holds: truth(3), instead: 'forgotten' }, 'forgotten'],
    ['uses another algorithm', { holds: truth(2), format: 99 }, 'other-format'],
    ['has another history', { holds: truth(2), chain: 'd'.repeat(64) }, 'other-chain'],
    ['answers for another version', { holds: truth(2), version: 41 }, 'refused'],
  ])('takes a node that %s for unknown, neither equal nor unequal', (_what, node, reason) => {
    const right = truth(3);
    const all = run({ a: { holds: right }, b: { holds: right }, c: node }, right);
    expect(results(all)).toEqual(['a match null', 'b match null', `c unknown ${reason}`]);
    expect(all.asked).toEqual({ roots: 3 });
  });

  it('passes nobody who cannot be compared', () => {
    const right = truth(3);
    expect(results(run({ a: { holds: right } }, right))).toEqual(['a unknown alone']);
    const others: Node = { holds: right, instead: 'unreachable' };
    expect(results(run({ a: { holds: right }, b: others }, right))).toEqual([
      'a unknown alone',
      'b unknown unreachable',
    ]);
  });

  it('decides nothing without the truth, or without an answer', () => {
    const right = truth(5);
    const wrong = put(truth(5), 'k1', stateOf('wrong', 2));
    const undecided = ['a unknown undecided', 'b unknown undecided'];
    expect(results(run({ a: { holds: right }, b: { holds: wrong } }, undefined))).toEqual(undecided);
    const mute = { holds: wrong, mute: true };
    expect(results(run({ a: { holds: right }, b: mute }, right))).toEqual(undecided);
    const compacted = run({ a: { holds: right }, b: { holds: wrong } }, right, SETTINGS, ['k1']);
    expect(results(compacted)).toEqual(undecided);
  });

  it('looks into what a node found altered in its own memory, although its digest is right', () => {
    const right = truth(20);
    const holds = put(truth(20), 'k5', stateOf('bit flipped', 6));
    const damaged = [bucketOf('app', 'k5')];
    const nodes = { a: { holds: right }, b: { holds, digested: right, damaged }, c: { holds: right } };
    const all = run(nodes, right);
    expect(results(all)).toEqual(['a match null', 'b mismatch at-rest', 'c match null']);
    expect(found(all, 'b')).toEqual(['k5 mismatch']);
    expect(all.asked.buckets).toBeUndefined();
  });

  it('knows of a key that was lost from memory from a node that has it', () => {
    const right = truth(20);
    const holds = truth(20);
    holds.delete(nameOf({ namespace: 'app', key: 'k5' }));
    const damaged = [bucketOf('app', 'k5')];
    const all = run({ a: { holds, digested: right, damaged }, b: { holds: right } }, right);
    expect(found(all, 'a')).toEqual(['k5 missing']);
    expect(results(all)).toEqual(['a mismatch at-rest', 'b match null']);
  });

  it('tells a digest that is wrong from keys that are', () => {
    const right = truth(20);
    const digested = put(truth(20), 'k5', stateOf('never there', 6));
    const all = run({ a: { holds: right }, b: { holds: right, digested } }, right);
    expect(results(all)).toEqual(['a match null', 'b mismatch root']);
    expect(found(all, 'b')).toEqual([`${bucketOf('app', 'k5')} digest`]);
  });

  it('looks into no more buckets than it may, and says how many are left', () => {
    const right = truth(400);
    const all = run({ a: { holds: right }, b: { holds: new Map() } }, right, { ...SETTINGS, maxBuckets: 20 });
    const [, b] = all.outcomes;
    expect(b?.differences.length).toBeGreaterThanOrEqual(20);
    expect(b?.more).toBeGreaterThan(100);
    expect(all.asked.parts).toBe(40);
  });

  it('asks for the keys of the part that differs, and of a whole bucket where somebody knows no parts', () => {
    const right = truth(3_000);
    const wrong = put(truth(3_000), 'k7', stateOf('wrong', 8));
    const all = run({ a: { holds: right }, b: { holds: wrong } }, right);
    expect(found(all, 'b')).toEqual(['k7 mismatch']);
    expect(all.asked).toEqual({ roots: 2, buckets: 2, parts: 2, keys: 2, truth: 1 });
    expect(all.outcomes[1]?.keys.buckets).toBe(1 / BUCKET_PARTS);
    const older = run({ a: { holds: right, knowsNoParts: true }, b: { holds: wrong } }, right);
    expect(found(older, 'b')).toEqual(['k7 mismatch']);
    expect(older.outcomes[1]?.keys.buckets).toBe(1);
  });

  it('looks into what is suspected of nodes that agree, and of those that are right finds nothing', () => {
    const right = truth(30);
    const holds = put(truth(30), 'k3', stateOf('other', 4));
    holds.delete(nameOf({ namespace: 'app', key: 'k7' }));
    const buckets = [bucketOf('app', 'k3'), bucketOf('app', 'k7')];
    const of = (...nodeIds: string[]) => ({
      buckets: new Map(nodeIds.map((nodeId) => [nodeId, buckets])),
      keys: [...right.values()].map(({ namespace, key }) => ({ namespace, key })),
    });
    const alike = run({ a: { holds }, b: { holds } }, right, SETTINGS, [], of('a', 'b'));
    expect(results(alike)).toEqual(['a mismatch root', 'b mismatch root']);
    for (const nodeId of ['a', 'b']) expect(found(alike, nodeId)).toEqual(['k3 mismatch', 'k7 missing']);
    const one = run({ a: { holds } }, right, SETTINGS, [], of('a'));
    expect(found(one, 'a')).toEqual(['k3 mismatch', 'k7 missing']);
    const sound = run({ a: { holds: right }, b: { holds: right } }, right, SETTINGS, [], of('a', 'b'));
    expect(results(sound)).toEqual(['a match null', 'b match null']);
    const mixed = run({ a: { holds: right }, b: { holds } }, right, SETTINGS, [], of('a', 'b'));
    expect(results(mixed)).toEqual(['a match null', 'b mismatch root']);
    const digested = run({ a: { holds: right, digested: holds } }, right, SETTINGS, [], of('a'));
    expect(found(digested, 'a')).toEqual(buckets.map((bucket) => `${bucket} digest`).sort());
  });

  it('finds any set of planted differences and classifies it right, and no others', () => {
    const key = fc.nat(40).map((i) => `k${i}`);
    const damage = fc.uniqueArray(
      fc.record({ key, kind: fc.constantFrom('drop', 'alter', 'version'), atRest: fc.boolean() }),
      { maxLength: 5, selector: ({ key: name }) => name },
    );
    const right = truth(24);
    const cases = fc.record({ b: damage, c: damage, silent: fc.boolean() });
    fc.assert(
      fc.property(cases, ({ b, c, silent }) => {
        const planted = { b: plant(right, b), c: plant(right, c) };
        const nodes: Record<string, Node> = { a: { holds: right }, b: planted.b.node, c: planted.c.node };
        if (silent) nodes.d = { holds: right, instead: 'unreachable' };
        const all = run(nodes, right);
        for (const nodeId of ['a', 'b', 'c'] as const) {
          const expected = nodeId === 'a' ? [] : planted[nodeId].expected;
          expect(found(all, nodeId)).toEqual(expected);
          const result = all.outcomes.find((outcome) => outcome.nodeId === nodeId)?.result;
          expect(result).toBe(expected.length > 0 ? 'mismatch' : 'match');
        }
      }),
      { numRuns: 10_000 },
    );
  }, 60_000);
});

/** Differences of the kinds that a key can have; at rest the digest does not follow, and the node finds it out itself. */
function plant(
  right: State,
  damages: readonly { key: string; kind: string; atRest: boolean }[],
): { node: Node; expected: string[] } {
  const holds: State = new Map(right);
  const digested: State = new Map(right);
  const damaged: number[] = [];
  const expected: Pick<Difference, 'key' | 'class'>[] = [];
  for (const { key, kind, atRest } of damages) {
    const name = nameOf({ namespace: 'app', key });
    const was = right.get(name);
    if (kind === 'drop' && was === undefined) continue;
    if (kind === 'drop') holds.delete(name);
    else if (kind === 'version' && was) put(holds, key, { ...pick(was), version: was.version + 1 });
    else put(holds, key, stateOf(`wrong ${key}`, was?.version ?? 5));
    expected.push({ key, class: was === undefined ? 'extra' : kind === 'drop' ? 'missing' : 'mismatch' });
    if (atRest) damaged.push(bucketOf('app', key));
    else if (kind === 'drop') digested.delete(name);
    else digested.set(name, holds.get(name) as KeyName & KeyState);
  }
  return {
    node: { holds, digested, damaged },
    expected: expected.map(({ key, class: kind }) => `${key} ${kind}`).sort(),
  };
}
