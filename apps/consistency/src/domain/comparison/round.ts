import type { ConsistencyReason, ConsistencyResult, Difference } from '#libs/contracts';
import { invariant } from '#libs/kernel';
import { BUCKET_PARTS } from '#libs/replica';
import { distinct, findingsIn, NodeFindings } from '../findings.js';
import { isIn, type Place } from '../place.js';
import { type ReferenceEntry, witnessed } from '../reference/reference.js';
import { cutOf, differing, trueCut } from './bucket-digests.js';
import { classify, type ListedKey } from './classification.js';
import { type KeyName, nameOf, type Pin } from './pin.js';
import { compareRoots, type RootAnswer, type RootComparison } from './root-comparison.js';
import { NO_SUSPICION, type SuspectBuckets } from './suspicion.js';

/*
 * One round, at one pinned version. Mostly it ends with the roots: one small question per node.
 *
 *   roots -> over                                      all that can be compared hold the same, and found nothing altered
 *         -> buckets -> parts <-> keys <-> truth -> over      digests differ: one node of each group is asked where
 *         ->            parts <-> keys <-> truth -> over      a node found something altered in its own memory
 *
 * A bucket is looked into part by part, those that differ; as a whole where no part does, or a node knows none. Bucket
 * after bucket, the keys that anybody lists are compared with the truth of that version; so what is held in
 * memory at a time is one bucket. What could not be had leaves a node undecided, which is never agreement.
 */
export type Step =
  | { ask: 'roots'; of: readonly string[] }
  | { ask: 'buckets'; of: readonly string[] }
  | { ask: 'parts'; of: readonly string[]; bucket: number }
  | { ask: 'keys'; of: readonly string[]; place: Place }
  | { ask: 'truth'; of: readonly KeyName[]; place: Place }
  | { ask: 'nothing' };

/** Undefined = not to be had. */
export type Answers<T> = ReadonlyMap<string, T | undefined>;
export type Truths = ReadonlyMap<string, KeyName & { truth: ReferenceEntry }>;

export interface NodeOutcome {
  nodeId: string;
  result: ConsistencyResult;
  reason: ConsistencyReason | null;
  differences: Difference[];
  /** Buckets that differ, or are damaged, and were not looked at: each has at least one difference. */
  more: number;
  /** Keys listed in the buckets, or parts of them, looked at, for a guess of how many there are in all. */
  keys: { listed: number; buckets: number };
}

export interface RoundSettings {
  /** Of the digests that this service knows. */
  format: number;
  maxBuckets: number;
}

/** So many different digests of one state are looked into; nodes of others wait for the next round. */
const MAX_GROUPS = 8;
/** Where more parts differ, the whole bucket is one question. */
const MAX_PARTS = 8;

export class Round {
  private current: Step;
  private roots: RootComparison | undefined;
  /** Bucket digests. */
  private cuts = new Map<string, Buffer>();
  /** Each stands for its group, when there are several. */
  private compared: string[] = [];
  private waiting: number[] = [];
  /** Of the bucket that is being looked into. */
  private places: Place[] = [];
  private differing = new Set<number>();
  private listed: Answers<ListedKey[]> = new Map();
  /** Of all nodes of a group, by the one that stands for it. */
  private readonly shared = new Map<string, NodeFindings>();
  /** Of single nodes, which found something altered at rest. */
  private readonly own = new Map<string, NodeFindings>();

  constructor(
    readonly pin: Pin,
    nodeIds: readonly string[],
    private readonly settings: RoundSettings,
    private readonly suspicion: SuspectBuckets = NO_SUSPICION,
  ) {
    this.current = { ask: 'roots', of: nodeIds };
  }

  get step(): Step {
    return this.current;
  }

  takeRoots(answers: ReadonlyMap<string, RootAnswer>): void {
    invariant(this.current.ask === 'roots', `roots came while the round asks for ${this.current.ask}`);
    const roots = compareRoots(this.pin, this.settings.format, answers);
    this.roots = roots;
    // What is altered at rest in one node is not the group's.
    for (const { nodeIds } of roots.groups)
      nodeIds.sort((a, b) => Number(roots.damaged.has(a)) - Number(roots.damaged.has(b)));
    const groups = roots.groups.length > 1 ? roots.groups.slice(0, MAX_GROUPS) : [];
    this.compared = groups.flatMap(({ nodeIds }) => nodeIds[0] ?? []);
    const suspects = this.comparable().filter((nodeId) => this.suspicion.buckets.has(nodeId));
    const asked = [...new Set([...this.compared, ...suspects])];
    if (asked.length > 0) this.current = { ask: 'buckets', of: asked };
    else this.lookInto([]);
  }

  takeBuckets(answers: Answers<Buffer>): void {
    invariant(this.current.ask === 'buckets', `buckets came while the round asks for ${this.current.ask}`);
    for (const [nodeId, buckets] of answers) if (buckets) this.cuts.set(nodeId, buckets);
    const told = this.compared.filter((nodeId) => this.cuts.has(nodeId));
    // One alone differs from nothing that is known.
    const usable = told.length < 2 ? [] : told;
    for (const nodeId of this.compared)
      if (!usable.includes(nodeId)) findingsIn(this.shared, nodeId).undecided = true;
    this.compared = usable;
    this.lookInto(differing(usable.flatMap((nodeId) => this.cuts.get(nodeId) ?? [])));
  }

  takeParts(answers: Answers<Buffer>): void {
    invariant(this.current.ask === 'parts', `parts came while the round asks for ${this.current.ask}`);
    const { of, bucket } = this.current;
    const cuts = of.flatMap((nodeId) => answers.get(nodeId) ?? []);
    const parts = cuts.length === of.length ? differing(cuts) : [];
    const isFew = parts.length > 0 && parts.length <= MAX_PARTS;
    this.places = isFew ? parts.map((part) => ({ bucket, part })) : [{ bucket, part: null }];
    this.next();
  }

  takeKeys(answers: Answers<ListedKey[]>): void {
    const { current } = this;
    invariant(current.ask === 'keys', `keys came while the round asks for ${current.ask}`);
    this.listed = answers;
    const keys = new Map<string, KeyName>();
    const inDatabase = this.suspicion.keys.filter((key) => isIn(current.place, key));
    for (const list of [...answers.values(), inDatabase]) {
      for (const { namespace, key } of list ?? []) keys.set(nameOf({ namespace, key }), { namespace, key });
    }
    this.current = { ask: 'truth', of: [...keys.values()], place: current.place };
  }

  takeTruth(truths: Truths | undefined): void {
    invariant(
      this.current.ask === 'truth',
      `the reference state came while the round asks for ${this.current.ask}`,
    );
    const { place } = this.current;
    const sure =
      truths &&
      witnessedBy(
        [...this.listed.values()].flatMap((list) => list ?? []),
        truths,
      );
    for (const [nodeId, list] of this.listed) {
      const findings = this.findingsOf(nodeId, place.bucket);
      if (list === undefined || sure === undefined) findings.undecided = true;
      else this.compare(nodeId, findings, place, list, sure);
    }
    this.listed = new Map();
    this.next();
  }

  outcomes(): NodeOutcome[] {
    invariant(
      this.current.ask === 'nothing' && this.roots,
      `outcomes were read while the round asks for ${this.current.ask}`,
    );
    const { unknown, groups } = this.roots;
    const outcomes = [...unknown].map(([nodeId, reason]) => outcome(nodeId, 'unknown', reason));
    const soundGroups = groups.filter(({ nodeIds }) => this.isSound(nodeIds[0]));
    const alone = groups.length === 1 && groups[0]?.nodeIds.length === 1;
    for (const { nodeIds } of groups) {
      // Of two that differ one at least is wrong, even when that could not be shown.
      const isUnclear = groups.length > 1 && soundGroups.length > 1 && this.isSound(nodeIds[0]);
      const reason = isUnclear ? 'undecided' : alone ? 'alone' : null;
      const shared = this.shared.get(nodeIds[0] ?? '');
      for (const nodeId of nodeIds) outcomes.push(this.outcomeOf(nodeId, shared, reason));
    }
    return outcomes.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  }

  private isSound(representative: string | undefined): boolean {
    const shared = this.shared.get(representative ?? '');
    return shared === undefined || (shared.differences.length === 0 && !shared.undecided);
  }

  private outcomeOf(
    nodeId: string,
    shared: NodeFindings | undefined,
    unless: ConsistencyReason | null,
  ): NodeOutcome {
    const own = this.own.get(nodeId);
    const all = [shared, own].filter((each) => each !== undefined);
    const differences = distinct(all.flatMap((each) => each.differences));
    const more = all.reduce((sum, each) => sum + each.more, 0);
    const keys = shared?.keys ?? own?.keys ?? { listed: 0, buckets: 0 };
    const found = { nodeId, differences, more, keys };
    if (differences.length > 0) {
      const isRoot = (shared?.differences.length ?? 0) > 0 || this.suspicion.buckets.has(nodeId);
      const reason = isRoot ? 'root' : 'at-rest';
      return { ...found, result: 'mismatch', reason };
    }
    if (all.some((each) => each.undecided)) return { ...found, result: 'unknown', reason: 'undecided' };
    return { ...found, result: unless === null ? 'match' : 'unknown', reason: unless };
  }

  private comparable(): string[] {
    return this.roots?.groups.flatMap(({ nodeIds }) => nodeIds) ?? [];
  }

  /** `differing`, what nodes found damaged by themselves, and what is suspected: as many as a round may look into. */
  private lookInto(differing: readonly number[]): void {
    const damaged = [...(this.roots?.damaged.values() ?? [])].flat();
    const suspected = this.comparable().flatMap((nodeId) => this.suspicion.buckets.get(nodeId) ?? []);
    const suspects = [...new Set([...differing, ...damaged, ...suspected])];
    const { maxBuckets } = this.settings;
    this.differing = new Set(differing);
    this.waiting = suspects.slice(0, maxBuckets);
    const left = suspects.slice(maxBuckets);
    const leftOf = (buckets: readonly number[]) => buckets.filter((bucket) => left.includes(bucket)).length;
    // Of what is only suspected nothing is known.
    for (const nodeId of this.compared) findingsIn(this.shared, nodeId).more = leftOf(differing);
    for (const [nodeId, buckets] of this.roots?.damaged ?? [])
      findingsIn(this.own, nodeId).more = leftOf(buckets);
    this.next();
  }

  private next(): void {
    const place = this.places.shift();
    const bucket = place?.bucket ?? this.waiting.shift();
    const of = bucket === undefined ? [] : this.askedFor(bucket);
    if (bucket === undefined) this.current = { ask: 'nothing' };
    else if (place === undefined && of.length > 1 && !this.isSuspected(bucket))
      this.current = { ask: 'parts', of, bucket };
    else this.current = { ask: 'keys', of, place: place ?? { bucket, part: null } };
  }

  /** Parts show where nodes differ from each other, which those that are wrong alike do not. */
  private isSuspected(bucket: number): boolean {
    return [...this.suspicion.buckets.values()].some((buckets) => buckets.includes(bucket));
  }

  /** Those that differ, those that are damaged or suspected, and one that is not, which may know of keys that those have lost. */
  private askedFor(bucket: number): string[] {
    const isDamaged = (nodeId: string) =>
      [this.roots?.damaged, this.suspicion.buckets].some((of) => of?.get(nodeId)?.includes(bucket));
    const all = this.comparable();
    const asked = new Set(all.filter(isDamaged));
    if (this.differing.has(bucket)) for (const nodeId of this.compared) asked.add(nodeId);
    const sound = all.find((nodeId) => !isDamaged(nodeId));
    if (sound !== undefined && [...asked].every(isDamaged)) asked.add(sound);
    return [...asked];
  }

  private compare(
    nodeId: string,
    findings: NodeFindings,
    { bucket, part }: Place,
    list: readonly ListedKey[],
    truths: Truths,
  ): void {
    const { differences, undecided } = classify(list, truths);
    findings.keys.listed += list.length;
    findings.keys.buckets += part === null ? 1 : 1 / BUCKET_PARTS;
    findings.differences.push(...differences);
    if (undecided > 0) findings.undecided = true;
    else if (part === null && differences.length === 0 && this.hasWrongDigest(nodeId, bucket, truths))
      findings.differences.push({
        ...{ namespace: '', key: String(bucket), class: 'digest', expected: null, found: null },
      });
  }

  /** All keys are right, and yet the digest is another one, or was found not to be that of the keys. */
  private hasWrongDigest(nodeId: string, bucket: number, truths: Truths): boolean {
    if (this.roots?.damaged.get(nodeId)?.includes(bucket)) return true;
    const cuts = this.cuts.get(nodeId);
    const right = trueCut(truths.values());
    return cuts !== undefined && right !== undefined && cutOf(cuts, bucket) !== right;
  }

  private findingsOf(nodeId: string, bucket: number): NodeFindings {
    const isShared = this.differing.has(bucket) && this.compared.includes(nodeId);
    return findingsIn(isShared ? this.shared : this.own, nodeId);
  }
}

function witnessedBy(listed: readonly ListedKey[], truths: Truths): Truths {
  const byName = Map.groupBy(listed, nameOf);
  const sure = [...truths].map(([name, { truth, ...key }]) => {
    return [name, { ...key, truth: witnessed(truth, byName.get(name) ?? []) }] as const;
  });
  return new Map(sure);
}

function outcome(nodeId: string, result: ConsistencyResult, reason: ConsistencyReason): NodeOutcome {
  return { nodeId, result, reason, differences: [], more: 0, keys: { listed: 0, buckets: 0 } };
}
