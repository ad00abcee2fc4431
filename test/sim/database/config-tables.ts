import { DataError } from '#libs/postgres';

/*
 * Schema `config` as a model: what its statements do to its rows, and nothing of time, locks or connections. It takes
 * and gives what the driver would (test/sim/database/statements.ts), and is compared with the real SQL by
 * test/integration/storage/model.int.spec.ts.
 */
export interface HeadModel {
  clusterId: string;
  version: number;
  chain: string;
  term: number;
  leaderId: string | null;
  incarnation: number;
  attempt: number;
}

export interface FenceModel {
  term: number;
  leaderId: string;
  incarnation: number;
  attempt: number;
  version: number;
  chain: string;
}

export interface OperationModel {
  namespace: string;
  key: string;
  isPut: boolean;
  /** Of several on one key in a batch only the last reaches the entries. */
  isLast: boolean;
  value: Buffer | null;
  contentType: string | null;
  checksum: Buffer | null;
  created: boolean;
}

export interface ChangeModel {
  version: number;
  term: number;
  chain: string;
  kind: 'change' | 'lost';
  lostFrom: number | null;
  lostTo: number | null;
  author: string | null;
  comment: string | null;
  requestId: string | null;
  requestHash: Buffer | null;
  requestKind: string | null;
  bytes: number;
  createdAtMs: number;
  operations: OperationModel[];
}

export interface EntryModel {
  namespace: string;
  key: string;
  value: Buffer;
  contentType: string;
  checksum: Buffer;
  version: number;
  createdAtMs: number;
}

export interface ClaimModel {
  seenTerm: number;
  suspect: string | null;
  winner: string;
  incarnation: number;
  highestTerm: number;
}

/** What a transaction did, and how to undo it. */
export type Undo = () => void;

const UNIQUE_VIOLATION = '23505';

export class ConfigTables {
  head: HeadModel;
  changes: ChangeModel[] = [];
  readonly entries = new Map<string, EntryModel>();
  private readonly byRequest = new Map<string, ChangeModel>();

  constructor(clusterId: string) {
    const chain = '0'.repeat(64);
    this.head = { clusterId, version: 0, chain, term: 0, leaderId: null, incarnation: 0, attempt: 0 };
  }

  /** Switched off only to prove that the simulation notices. */
  fences(fence: FenceModel): boolean {
    const { head } = this;
    return (
      head.term === fence.term &&
      head.leaderId === fence.leaderId &&
      head.incarnation === fence.incarnation &&
      head.attempt === fence.attempt &&
      head.version === fence.version &&
      head.chain === fence.chain
    );
  }

  /** Undefined: the fence did not hold. Throws what Postgres would refuse for its data, without an effect. */
  commit(
    fence: FenceModel,
    to: { version: number; chain: string },
    batch: readonly Omit<ChangeModel, 'term' | 'createdAtMs'>[],
    atMs: number,
  ): { undo: Undo; changes: ChangeModel[] } | undefined {
    if (!this.fences(fence)) return undefined;
    this.refuseDoubles(batch);
    const before = this.head;
    const changes = batch.map((change) => ({ ...change, term: before.term, createdAtMs: atMs }));
    this.head = { ...before, version: to.version, chain: to.chain };
    const replaced: [string, EntryModel | undefined][] = [];
    for (const change of changes) {
      this.changes.push(change);
      if (change.requestId !== null) this.byRequest.set(change.requestId, change);
      for (const operation of change.operations) {
        if (operation.isLast) replaced.push(this.store(operation, change));
      }
    }
    const undo = () => {
      this.head = before;
      this.changes.length -= changes.length;
      for (const { requestId } of changes) if (requestId !== null) this.byRequest.delete(requestId);
      for (const [id, entry] of replaced.reverse()) {
        if (entry === undefined) this.entries.delete(id);
        else this.entries.set(id, entry);
      }
    };
    return { undo, changes };
  }

  bump(leader: Pick<FenceModel, 'term' | 'leaderId' | 'incarnation'>): Undo | undefined {
    const before = this.head;
    if (
      before.term !== leader.term ||
      before.leaderId !== leader.leaderId ||
      before.incarnation !== leader.incarnation
    ) {
      return undefined;
    }
    this.head = { ...before, attempt: before.attempt + 1 };
    return () => {
      this.head = before;
    };
  }

  claim(claim: ClaimModel): Undo | undefined {
    const before = this.head;
    if (before.term !== claim.seenTerm || before.leaderId !== claim.suspect) return undefined;
    this.head = {
      ...before,
      term: Math.max(before.term, claim.highestTerm) + 1,
      leaderId: claim.winner,
      incarnation: claim.incarnation,
      attempt: 0,
    };
    return () => {
      this.head = before;
    };
  }

  request(id: string): ChangeModel | undefined {
    return this.byRequest.get(id);
  }

  /** At most `limit`, and no more bytes than `maxBytes` beyond the first. */
  changesAfter(version: number, limit: number, maxBytes: number): ChangeModel[] {
    let low = 0;
    let high = this.changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.changes[middle] as ChangeModel).version > version) high = middle;
      else low = middle + 1;
    }
    const page: ChangeModel[] = [];
    let bytes = 0;
    for (const change of this.changes.slice(low, low + limit)) {
      bytes += change.bytes;
      if (page.length > 0 && bytes > maxBytes) break;
      page.push(change);
    }
    return page;
  }

  /** Of some namespaces, with their operations alone; `through` is how far the page is complete. */
  touching(
    { after, limit, maxBytes }: { after: number; limit: number; maxBytes: number },
    namespaces: readonly string[],
    withLost: boolean,
  ): { page: ChangeModel[]; through: number | null } {
    const touched = this.changes.filter(
      ({ version, kind, operations }) =>
        version > after &&
        ((withLost && kind === 'lost') || operations.some((one) => namespaces.includes(one.namespace))),
    );
    const page: ChangeModel[] = [];
    let bytes = 0;
    for (const change of touched.slice(0, limit)) {
      bytes += change.bytes;
      if (page.length > 0 && bytes > maxBytes) break;
      page.push(change);
    }
    const through = (page.length < touched.length ? page : this.changes).at(-1)?.version ?? null;
    return { page, through };
  }

  /** In the order of namespace and key, by their bytes. */
  sortedEntries(): EntryModel[] {
    return [...this.entries.values()].sort(
      (a, b) => compareBytes(a.namespace, b.namespace) || compareBytes(a.key, b.key),
    );
  }

  clone(): ConfigTables {
    const copy = new ConfigTables(this.head.clusterId);
    copy.head = this.head;
    copy.changes = [...this.changes];
    for (const [id, entry] of this.entries) copy.entries.set(id, entry);
    for (const [id, change] of this.byRequest) copy.byRequest.set(id, change);
    return copy;
  }

  private refuseDoubles(batch: readonly { version: number; requestId: string | null }[]): void {
    const ids = new Set<string>();
    for (const { requestId } of batch) {
      if (requestId === null) continue;
      if (this.byRequest.has(requestId) || ids.has(requestId)) {
        throw new DataError(`the key '${requestId}' is there already`, UNIQUE_VIOLATION);
      }
      ids.add(requestId);
    }
  }

  private store(operation: OperationModel, change: ChangeModel): [string, EntryModel | undefined] {
    const { namespace, key, value, contentType, checksum } = operation;
    const id = `${namespace}\n${key}`;
    const before = this.entries.get(id);
    if (!operation.isPut || value === null || contentType === null || checksum === null)
      this.entries.delete(id);
    else {
      const { version, createdAtMs } = change;
      this.entries.set(id, { namespace, key, value, contentType, checksum, version, createdAtMs });
    }
    return [id, before];
  }
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
