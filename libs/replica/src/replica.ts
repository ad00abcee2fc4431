import { type Change, LIMITS, type Operation } from '#libs/contracts';
import { compareUtf8, invariant } from '#libs/kernel';
import { chainAfter, checksumOf, GENESIS_CHAIN } from './chain.js';
import { ChangeWindow, type WindowBounds } from './change-window.js';
import { DigestHistory, type DigestPoint, type UnknownDigest } from './digest/digest-history.js';
import { KeySpace } from './digest/key-space.js';
import { changeWithOwnMemory, entryWithOwnMemory } from './digest/own-memory.js';
import type { Entry, LogPosition } from './entry.js';
import { type KeyTruth, type NotRepaired, type RepairedKey, repairKeys } from './repair.js';

/**
 * `gap`: changes between are missing. `diverged`: this history is not the one that the change belongs to.
 * `corrupt`: the change contradicts itself.
 */
export type ApplyResult = 'applied' | 'duplicate' | 'gap' | 'diverged' | 'corrupt';

export interface ListQuery {
  namespace: string;
  prefix: string;
  /** Last key of the page before. */
  after?: string | undefined;
  limit: number;
  /** Bytes of values; the first entry always fits. */
  maxBytes: number;
  atVersion?: number | undefined;
}

export interface ListPage {
  version: number;
  entries: Entry[];
  more: boolean;
}

/** All buckets at one version: the first 8 bytes of each one's digest, one after the other. */
export interface BucketDigests extends DigestPoint {
  buckets: Buffer;
}

/** A bucket as it stands: references to immutable entries, and the digest (hex) that they should have. */
export interface PinnedBucket {
  entries: readonly Entry[];
  digest: string;
}

/** Taking back more operations than this to answer for a past version would hold up reads (about 10 ms). */
const MAX_REWOUND_OPERATIONS = 2_000;

const DEFAULT_BOUNDS: WindowBounds = { versions: LIMITS.windowVersions, bytes: LIMITS.windowBytes };

/**
 * The replicated state machine: all entries, the history's position, and a window of the latest changes with undo
 * records, so that lists can be answered at a recent past version. The same changes give the same state everywhere.
 */
export class Replica {
  private space = new KeySpace();
  private window: ChangeWindow;
  private position: LogPosition = { clusterId: null, version: 0, chain: GENESIS_CHAIN, term: 0 };
  private digests = new DigestHistory();

  constructor(private readonly bounds: WindowBounds = DEFAULT_BOUNDS) {
    this.window = new ChangeWindow(bounds, 0);
    this.digests.note(this.digest);
  }

  get clusterId(): string | null {
    return this.position.clusterId;
  }
  get version(): number {
    return this.position.version;
  }
  get chain(): string {
    return this.position.chain;
  }
  /** Term of the last change. */
  get term(): number {
    return this.position.term;
  }
  /** Lowest `after` that `changesAfter` can answer, and lowest version that `list` can. */
  get windowFloor(): number {
    return this.window.floor;
  }

  /** A fresh replica takes the identity of the first database that it meets. */
  adopt(clusterId: string): void {
    invariant(
      this.clusterId === null || this.clusterId === clusterId,
      `a replica of cluster ${this.clusterId} was given to ${clusterId}`,
    );
    this.position = { ...this.position, clusterId };
  }

  get(namespace: string, key: string): Entry | undefined {
    return this.space.get(namespace, key);
  }

  list(query: ListQuery): ListPage | 'expired' {
    const version = query.atVersion ?? this.version;
    if (version < this.windowFloor || version > this.version) return 'expired';
    const resumes = query.after !== undefined && compareUtf8(query.after, query.prefix) >= 0;
    const from = resumes ? (query.after as string) : query.prefix;
    const past = version === this.version ? undefined : version;
    const entries: Entry[] = [];
    let bytes = 0;
    for (const entry of this.space.entries(query.namespace, from, !resumes, past)) {
      if (!entry.key.startsWith(query.prefix)) break;
      bytes += entry.value.length;
      if (entries.length >= query.limit || (entries.length > 0 && bytes > query.maxBytes)) {
        return { version, entries, more: true };
      }
      entries.push(entry);
    }
    return { version, entries, more: false };
  }

  /** All that have keys, in the order of their names. */
  namespaces(): { name: string; keys: number }[] {
    return this.namespacesAfter('', Number.POSITIVE_INFINITY).namespaces;
  }

  /** A page of those whose names come after `after`; costs as much as the page is long, however many there are. */
  namespacesAfter(
    after: string,
    limit: number,
  ): { namespaces: { name: string; keys: number }[]; more: boolean } {
    const namespaces: { name: string; keys: number }[] = [];
    for (const name of this.space.names(after)) {
      if (namespaces.length >= limit) return { namespaces, more: true };
      namespaces.push({ name, keys: this.space.liveKeys(name) });
    }
    return { namespaces, more: false };
  }

  /** Applies a change that came from elsewhere, after checking all of it. */
  apply(change: Change): ApplyResult {
    const first = change.lost?.from ?? change.version;
    if (change.version <= this.version) return this.compareKnown(change);
    if (first > this.version + 1) return 'gap';
    if (first < this.version + 1) return 'diverged';
    if (!isConsistent(change)) return 'corrupt';
    if (chainAfter(this.chain, change) !== change.chain) return 'diverged';
    this.advance(change);
    return 'applied';
  }

  /** Applies a change that this process made and whose checksums and chain it computed. */
  applyOwn(change: Change): void {
    invariant(
      (change.lost?.from ?? change.version) === this.version + 1,
      `change ${change.version} does not follow version ${this.version}`,
    );
    this.advance(change);
  }

  /** Changes after a version, oldest first; `compacted` when the window no longer reaches back so far. */
  changesAfter(version: number, limit: number, maxBytes = Number.POSITIVE_INFINITY): Change[] | 'compacted' {
    return this.window.after(version, limit, maxBytes) ?? 'compacted';
  }

  /** The chain at a version, as far as the window remembers it. */
  chainAt(version: number): string | undefined {
    return version === this.version ? this.chain : this.window.at(version)?.chain;
  }

  /** The digest of the state as it stands. */
  get digest(): DigestPoint {
    return { version: this.version, chain: this.chain, hash: this.space.digest.root };
  }

  digestAt(version: number): DigestPoint | UnknownDigest {
    return this.digests.at(version);
  }

  /** `forgotten` too when more than 2,000 operations ago. */
  bucketDigestsAt(version: number): BucketDigests | UnknownDigest {
    const point = this.digestAt(version);
    if (typeof point === 'string') return point;
    const later = this.operationsAfter(version, MAX_REWOUND_OPERATIONS);
    if (later === undefined) return 'forgotten';
    const digest = this.space.digest.copy();
    const keys = new Map(later.map((operation) => [`${operation.namespace}\0${operation.key}`, operation]));
    for (const { namespace, key } of keys.values()) this.space.rewind(digest, namespace, key, version);
    return { ...point, buckets: digest.cutBuckets() };
  }

  /** Entries of a bucket by namespace and key, at a version that the window reaches back to. */
  entriesOfBucket(bucket: number, version: number): Entry[] | UnknownDigest {
    if (version > this.version) return 'not-reached';
    if (version < this.windowFloor) return 'forgotten';
    return this.space.entriesOfBucket(bucket, version === this.version ? undefined : version);
  }

  /** For computing the digest of a bucket anew while changes go on. */
  pinBucket(bucket: number): PinnedBucket {
    return { entries: this.space.entriesOfBucket(bucket), digest: this.space.digest.ofBucket(bucket) };
  }

  /**
   * Sets keys right by what they are at `version` of the history `chain`, and computes the digests of the given buckets
   * anew. The digests of past versions are forgotten: they were those of a state that was wrong.
   */
  repair(
    version: number,
    chain: string,
    truths: readonly KeyTruth[],
    digests: readonly number[] = [],
  ): RepairedKey[] | NotRepaired {
    if (version > this.version) return 'not-reached';
    const known = this.chainAt(version);
    if (known === undefined || version < this.windowFloor) return 'forgotten';
    if (known !== chain) return 'other-chain';
    const done = repairKeys(this.space, version, truths);
    for (const bucket of digests) this.space.rebuildDigest(bucket);
    if (digests.length > 0 || done.some(({ outcome }) => outcome === 'repaired')) this.forgetDigests();
    return done;
  }

  /** Replaces everything; the window begins anew. */
  load(position: LogPosition, state: StateBuilder): void {
    this.space = state.space;
    this.window = new ChangeWindow(this.bounds, position.version);
    this.position = { ...position };
    this.forgetDigests();
  }

  private forgetDigests(): void {
    this.digests = new DigestHistory();
    this.digests.note(this.digest);
  }

  /** Undefined when there are more than `most`, or the window does not reach back so far. */
  private operationsAfter(version: number, most: number): Operation[] | undefined {
    const changes = this.window.after(version, most + 1, Number.POSITIVE_INFINITY);
    if (changes === undefined || changes.length > most) return undefined;
    const count = changes.reduce((sum, { operations }) => sum + operations.length, 0);
    return count > most ? undefined : changes.flatMap(({ operations }) => operations);
  }

  private compareKnown(change: Change): ApplyResult {
    const known = this.chainAt(change.version);
    return known === undefined || known === change.chain ? 'duplicate' : 'diverged';
  }

  private advance(arrived: Change): void {
    const change = changeWithOwnMemory(arrived);
    let replacedBytes = 0;
    for (const operation of change.operations) {
      const { namespace, key } = operation;
      const entry = toEntry(operation, change);
      replacedBytes += this.space.change(namespace, key, entry, change.version)?.value.length ?? 0;
    }
    const { version, chain, term } = change;
    this.position = { clusterId: this.clusterId, version, chain, term };
    this.digests.note(this.digest);
    for (const left of this.window.push(change, replacedBytes)) {
      for (const { namespace, key } of left.operations) this.space.forget(namespace, key, left.version);
    }
  }
}

/** Collects a whole state, in any number of steps, to be swapped in at once. */
export class StateBuilder {
  readonly space = new KeySpace();
  entries = 0;

  /** The digest (hex) of what was added so far. */
  get digest(): string {
    return this.space.digest.root;
  }

  add(entry: Entry): void {
    this.space.restore(entryWithOwnMemory(entry));
    this.entries++;
  }
}

function isConsistent(change: Change): boolean {
  if (change.kind === 'lost') return change.lost?.to === change.version - 1 && change.operations.length === 0;
  return change.lost === undefined && change.operations.every(hasItsChecksum);
}

function hasItsChecksum(operation: Operation): boolean {
  return operation.op === 'delete' || checksumOf(operation.value) === operation.checksum;
}

function toEntry(operation: Operation, change: Change): Entry | undefined {
  if (operation.op === 'delete') return undefined;
  return {
    namespace: operation.namespace,
    key: operation.key,
    value: operation.value,
    contentType: operation.contentType,
    version: change.version,
    checksum: operation.checksum,
    updatedAt: change.createdAt,
  };
}
