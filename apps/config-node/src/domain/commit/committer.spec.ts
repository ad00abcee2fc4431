import { beforeEach, describe, expect, it } from 'vitest';
import { checksumOf, GENESIS_CHAIN, Replica } from '#libs/replica';
import type { Fence, HeadState } from '../log.types.js';
import { COMMITTER_OPTIONS, Committer } from './committer.js';
import type { CommitterAction, CommitterInput, StoredAnswer } from './committer.types.js';
import type { Precondition, WriteOperation, WriteRequest } from './write.js';

const AT = '2026-01-01T00:00:00.000Z';
const FENCE: Fence = {
  term: 3,
  leaderId: 'node-1',
  incarnation: 11,
  attempt: 0,
  version: 0,
  chain: GENESIS_CHAIN,
};

function put(key: string, value = 'v', condition?: Precondition): WriteOperation {
  const bytes = Buffer.from(value);
  const checksum = checksumOf(bytes);
  return { op: 'put', namespace: 'app', key, value: bytes, contentType: 'text/plain', checksum, condition };
}

function del(key: string, condition?: Precondition): WriteOperation {
  return { op: 'delete', namespace: 'app', key, condition };
}

function write(...operations: WriteOperation[]): WriteRequest {
  return {
    kind: 'put',
    idempotencyKey: null,
    requestHash: null,
    keyIsFresh: false,
    aimTerm: null,
    author: null,
    comment: null,
    operations,
    deadlineMs: 5_000,
  };
}

const keyed = (key: string, hash: string, operation: WriteOperation, fresh = true): WriteRequest => ({
  ...write(operation),
  idempotencyKey: key,
  requestHash: Buffer.from(hash),
  keyIsFresh: fresh,
});

let replica: Replica;
let committer: Committer;
let nowMs: number;

function step(input: CommitterInput): CommitterAction[] {
  return committer.handle(input, nowMs);
}

function submit(ticket: number, request: WriteRequest): CommitterAction[] {
  return step({ type: 'submit', ticket, request });
}

const committed = () => step({ type: 'committed', createdAt: AT });
const failed = (failure: 'unavailable' | 'refused' | 'data' | 'unknown') =>
  step({ type: 'failed', failure, message: 'why' });

/** Actions in short: what was sent, and who was told what. */
function brief(actions: CommitterAction[]): string[] {
  return actions.map((action) => {
    switch (action.type) {
      case 'answer':
        return `${action.ticket}: v${action.outcome.version}`;
      case 'refuse':
        return `${action.ticket}: ${action.problem.code}`;
      case 'not-leader':
        return `${action.ticket}: not-leader`;
      case 'commit':
        return `commit ${action.batch.map((entry) => entry.change.version).join(',')}`;
      case 'applied':
        return `applied ${action.changes.map((change) => change.version).join(',')}`;
      case 'look-up':
        return `look-up ${action.keys.join(',')}`;
      case 'stepped-down':
        return `stepped-down ${action.why}`;
      default:
        return action.type;
    }
  });
}

function commitOf(actions: CommitterAction[]) {
  const commit = actions.find((action) => action.type === 'commit');
  if (commit === undefined) throw new Error('no commit');
  return commit;
}

function headOf(part: Partial<HeadState> = {}): HeadState {
  const { version, chain } = replica;
  return { ...FENCE, version, chain, ...part };
}

beforeEach(() => {
  replica = new Replica();
  committer = new Committer(replica, {
    ...COMMITTER_OPTIONS,
    queue: { writes: 4, bytes: 100_000 },
  });
  nowMs = 100;
  step({ type: 'lead', fence: FENCE, lostTo: null });
});

describe('a leader', () => {
  it('commits at once when idle, and collects while a commit is under way', () => {
    expect(brief(submit(1, write(put('a'))))).toEqual(['commit 1']);
    expect(brief(submit(2, write(put('b'))))).toEqual([]);
    expect(brief(submit(3, write(put('c'))))).toEqual([]);
    expect(brief(committed())).toEqual(['fence-confirmed', 'commit 2,3', '1: v1', 'applied 1']);
    expect(brief(committed())).toEqual(['fence-confirmed', '2: v2', '3: v3', 'applied 2,3']);
    expect(replica.version).toBe(3);
    expect(committer.isIdle).toBe(true);
  });

  it('has a change in memory before it answers', () => {
    submit(1, write(put('a', 'x')));
    const actions = committed();
    expect(replica.get('app', 'a')?.value.toString()).toBe('x');
    const outcome = actions.find((action) => action.type === 'answer')?.outcome;
    expect(outcome).toMatchObject({ version: 1, term: 3, createdAt: AT, created: [true] });
    expect(outcome?.operations).toEqual([
      {
        op: 'put',
        namespace: 'app',
        key: 'a',
        contentType: 'text/plain',
        checksum: checksumOf(Buffer.from('x')),
      },
    ]);
  });

  it('sends the fence that head must match, and where head is to stand', () => {
    submit(1, write(put('a')));
    committed();
    const commit = commitOf(submit(2, write(put('b'))));
    expect(commit.fence).toEqual({ ...FENCE, version: 1, chain: replica.chain });
    expect(commit.version).toBe(2);
    expect(commit.chain).toBe(commit.batch[0]?.change.chain);
  });

  it.each([
    ['an absent key that must be absent', put('new', 'v', { type: 'absent' }), 'commit 2'],
    ['a present key that must be absent', put('a', 'v', { type: 'absent' }), 'precondition-failed'],
    ['a present key that must exist', put('a', 'v', { type: 'exists' }), 'commit 2'],
    ['an absent key that must exist', put('new', 'v', { type: 'exists' }), 'precondition-failed'],
    ['the right version', put('a', 'v', { type: 'version', version: 1 }), 'commit 2'],
    ['another version', put('a', 'v', { type: 'version', version: 2 }), 'precondition-failed'],
    ['a version of an absent key', put('new', 'v', { type: 'version', version: 1 }), 'precondition-failed'],
    ['a deletion', del('a'), 'commit 2'],
    ['a deletion of an absent key', del('new'), 'key-not-found'],
    ['a deletion at another version', del('a', { type: 'version', version: 7 }), 'precondition-failed'],
    [
      'a deletion at a version, of an absent key',
      del('new', { type: 'version', version: 7 }),
      'key-not-found',
    ],
  ])('decides %s', (_name, operation, wanted) => {
    submit(1, write(put('a')));
    committed();
    const actions = brief(submit(2, write(operation)));
    if (wanted.startsWith('commit')) expect(actions).toEqual([wanted]);
    else {
      expect(actions).toEqual(['confirm']);
      expect(brief(step({ type: 'confirmed', holds: true }))).toEqual(['fence-confirmed', `2: ${wanted}`]);
    }
  });

  it('tells the version that stands in the way', () => {
    submit(1, write(put('a')));
    committed();
    submit(2, write(put('a', 'v', { type: 'absent' })));
    const refusal = step({ type: 'confirmed', holds: true }).find((action) => action.type === 'refuse');
    expect(refusal?.problem.members).toEqual({ namespace: 'app', key: 'a', currentVersion: 1 });
  });

  it('decides in order, each write seeing those before it in its batch', () => {
    submit(1, write(put('x')));
    submit(2, write(put('a', '1', { type: 'absent' })));
    submit(3, write(put('a', '2', { type: 'absent' })));
    submit(4, write(del('a', { type: 'version', version: 2 })));
    submit(5, write(put('a', '3', { type: 'absent' })));
    expect(brief(committed())).toContain('commit 2,3,4');
    expect(brief(committed())).toEqual([
      'fence-confirmed',
      '2: v2',
      '4: v3',
      '5: v4',
      '3: precondition-failed',
      'applied 2,3,4',
    ]);
  });

  it('does nothing of a change set of which one part is refused', () => {
    expect(brief(submit(1, write(put('a'), del('absent'))))).toEqual(['confirm']);
    step({ type: 'confirmed', holds: true });
    expect(replica.version).toBe(0);
  });

  it('closes a batch at 256 changes and at 4 MiB', () => {
    committer = new Committer(replica, { ...COMMITTER_OPTIONS, queue: { writes: 1_000, bytes: 1e9 } });
    step({ type: 'lead', fence: FENCE, lostTo: null });
    submit(0, write(put('first')));
    for (let i = 1; i <= 300; i++) submit(i, write(put(`k${i}`)));
    expect(commitOf(committed()).batch).toHaveLength(256);
    expect(commitOf(committed()).batch).toHaveLength(44);
    for (let i = 301; i <= 310; i++) submit(i, write(put(`k${i}`, 'x'.repeat(1_000_000))));
    expect(commitOf(committed()).batch).toHaveLength(4);
  });

  it('makes sure that it leads once a second when there is nothing to write', () => {
    expect(brief(step({ type: 'tick' }))).toEqual([]);
    nowMs = 1_100;
    expect(brief(step({ type: 'tick' }))).toEqual(['confirm']);
    expect(brief(step({ type: 'tick' }))).toEqual([]);
    expect(brief(step({ type: 'confirmed', holds: true }))).toEqual(['fence-confirmed']);
    nowMs = 2_000;
    expect(brief(step({ type: 'tick' }))).toEqual([]);
    nowMs = 2_100;
    expect(brief(step({ type: 'tick' }))).toEqual(['confirm']);
    // A sign of life that fails is due again at its pace, not at once.
    expect(brief(failed('unavailable'))).toEqual([]);
    nowMs = 3_100;
    expect(brief(step({ type: 'tick' }))).toEqual(['confirm']);
  });

  it('says which versions the database lost before it writes anything', () => {
    committer = new Committer(replica);
    const actions = step({ type: 'lead', fence: FENCE, lostTo: 7 });
    submit(1, write(put('a')));
    expect(commitOf(actions).batch[0]?.change).toMatchObject({
      version: 8,
      kind: 'lost',
      lost: { from: 1, to: 7 },
      operations: [],
    });
    expect(brief(committed())).toEqual(['fence-confirmed', 'commit 9', 'applied 8']);
    expect(replica.version).toBe(8);
  });
});

describe('bounds', () => {
  it('refuses what finds the queue full, but not a repeat before its key is looked up', () => {
    submit(1, write(put('a')));
    for (let i = 2; i <= 5; i++) submit(i, write(put('a')));
    expect(brief(submit(6, write(put('a'))))).toEqual(['6: cluster-busy']);
    expect(brief(submit(7, keyed('k', 'h', put('a'), true)))).toEqual(['7: cluster-busy']);
    expect(brief(submit(8, keyed('k', 'h', put('a'), false)))).toEqual(['look-up k']);
    for (let i = 9; i <= 11; i++) submit(i, keyed(`k${i}`, 'h', put('a'), false));
    expect(brief(submit(12, keyed('k12', 'h', put('a'), false)))).toEqual(['12: cluster-busy']);
  });

  it('counts bytes too, and lets a single large write pass', () => {
    submit(1, write(put('a')));
    expect(brief(submit(2, write(put('a', 'x'.repeat(150_000)))))).toEqual([]);
    expect(brief(submit(3, write(put('a'))))).toEqual(['3: cluster-busy']);
  });

  it('removes a write that ran out of time before it says so', () => {
    submit(1, { ...write(put('a')), deadlineMs: 9_000 });
    submit(2, { ...write(put('b')), deadlineMs: 500 });
    submit(3, write(put('c')));
    nowMs = 499;
    expect(brief(step({ type: 'tick' }))).toEqual([]);
    nowMs = 500;
    expect(brief(step({ type: 'tick' }))).toEqual(['2: cluster-busy']);
    expect(brief(committed())).toContain('commit 2');
    committed();
    expect(replica.get('app', 'b')).toBeUndefined();
    expect(replica.get('app', 'c')?.version).toBe(2);
  });

  it('says that the outcome is unknown when time runs out for a write under way', () => {
    submit(1, { ...write(put('a')), deadlineMs: 500 });
    nowMs = 500;
    expect(brief(step({ type: 'tick' }))).toEqual(['1: outcome-unknown']);
    expect(brief(committed())).toEqual(['fence-confirmed', 'applied 1']);
  });

  it('forgets a write whose client left', () => {
    submit(1, write(put('a')));
    submit(2, write(put('b')));
    step({ type: 'cancel', ticket: 2 });
    step({ type: 'cancel', ticket: 1 });
    expect(brief(committed())).toEqual(['fence-confirmed', 'applied 1']);
    expect(replica.version).toBe(1);
  });
});

describe('idempotency keys', () => {
  it('give a repeat the first answer, after the fence was seen again', () => {
    submit(1, keyed('k', 'h', put('a')));
    committed();
    expect(brief(submit(2, keyed('k', 'h', put('a'), false)))).toEqual(['confirm']);
    expect(brief(step({ type: 'confirmed', holds: true }))).toEqual(['fence-confirmed', '2: v1']);
    expect(replica.version).toBe(1);
  });

  it('let a repeat join the write that is queued or under way', () => {
    submit(1, keyed('k', 'h', put('a')));
    submit(2, keyed('q', 'h', put('b')));
    expect(brief(submit(3, keyed('k', 'h', put('a'), false)))).toEqual([]);
    expect(brief(submit(4, keyed('q', 'h', put('b'), false)))).toEqual([]);
    expect(brief(committed())).toEqual(['fence-confirmed', 'commit 2', '1: v1', '3: v1', 'applied 1']);
    expect(brief(committed())).toEqual(['fence-confirmed', '2: v2', '4: v2', 'applied 2']);
  });

  it('refuse another request under the same key, whether that is committed, under way or queued', () => {
    submit(1, keyed('k', 'h', put('a')));
    submit(2, keyed('k', 'other', put('b')));
    submit(3, keyed('q', 'h', put('c')));
    submit(4, keyed('q', 'other', put('d')));
    expect(brief(committed())).toEqual(['fence-confirmed', 'commit 2', '1: v1', 'applied 1']);
    expect(brief(committed())).toEqual([
      'fence-confirmed',
      '3: v2',
      '2: idempotency-key-reused',
      '4: idempotency-key-reused',
      'applied 2',
    ]);
  });

  it('that may have been used are looked up, once per batch, beside the commit under way', () => {
    submit(1, write(put('x')));
    expect(brief(submit(2, keyed('old', 'h', put('a'), false)))).toEqual(['look-up old']);
    submit(3, keyed('new', 'h', put('b'), false));
    submit(4, keyed('stolen', 'h', put('c'), false));
    const stored: StoredAnswer = {
      requestHash: Buffer.from('h'),
      change: {
        version: 77,
        term: 1,
        createdAt: AT,
        operations: [{ op: 'delete', namespace: 'app', key: 'a' }],
      },
      created: [false],
    };
    const id = 1;
    expect(brief(step({ type: 'looked-up', id, found: new Map([['old', stored]]) }))).toEqual([
      'look-up new,stolen',
    ]);
    // Behind a key that is still being looked up nothing is decided; what stands before it is.
    expect(brief(committed())).toEqual(['fence-confirmed', 'confirm', '1: v1', 'applied 1']);
    const other: StoredAnswer = { ...stored, requestHash: Buffer.from('other') };
    expect(brief(step({ type: 'looked-up', id: 2, found: new Map([['stolen', other]]) }))).toEqual([]);
    expect(brief(step({ type: 'confirmed', holds: true }))).toEqual([
      'fence-confirmed',
      'commit 2',
      '2: v77',
    ]);
    expect(brief(committed())).toEqual([
      'fence-confirmed',
      '3: v2',
      '4: idempotency-key-reused',
      'applied 2',
    ]);
  });

  it('whose look-up fails leave their writes undone', () => {
    submit(1, keyed('k', 'h', put('a'), false));
    const failed = { type: 'look-up-failed' as const, id: 1, message: 'why' };
    expect(brief(step({ ...failed, failure: 'unavailable' }))).toEqual(['1: storage-unavailable']);
    expect(replica.version).toBe(0);
  });

  it('whose look-up got no answer are looked up again', () => {
    submit(1, keyed('k', 'h', put('a'), false));
    const failed = { type: 'look-up-failed' as const, id: 1, message: 'why' };
    expect(brief(step({ ...failed, failure: 'unknown' }))).toEqual([]);
    nowMs += 100;
    expect(brief(step({ type: 'tick' }))).toEqual(['look-up k']);
    expect(brief(step({ type: 'looked-up', id: 2, found: new Map() }))).toEqual(['commit 1']);
  });

  it('that were wrongly said to be fresh are looked up after all', () => {
    submit(1, keyed('k', 'h', put('a'), true));
    expect(brief(failed('data'))).toEqual(['look-up k']);
    const stored: StoredAnswer = {
      requestHash: Buffer.from('h'),
      change: { version: 5, term: 1, createdAt: AT, operations: [] },
      created: [],
    };
    step({ type: 'looked-up', id: 1, found: new Map([['k', stored]]) });
    expect(brief(step({ type: 'confirmed', holds: true }))).toEqual(['fence-confirmed', '1: v5']);
  });

  it('are no reason to be refused by a condition: the key is looked at first', () => {
    submit(1, keyed('k', 'h', put('a', 'v', { type: 'absent' })));
    committed();
    submit(2, keyed('k', 'h', put('a', 'v', { type: 'absent' }), false));
    expect(brief(step({ type: 'confirmed', holds: true }))).toEqual(['fence-confirmed', '2: v1']);
  });
});

describe('refusals', () => {
  it('that join a batch wait for its commit, and are decided anew when it did not happen', () => {
    submit(1, write(put('x')));
    submit(2, write(put('a', 'v', { type: 'absent' })));
    submit(3, write(put('a', 'v', { type: 'absent' })));
    committed();
    expect(brief(step({ type: 'fenced' }))).toEqual(['read-head']);
    expect(brief(step({ type: 'head', head: headOf({ term: 4, leaderId: 'node-2' }) }))).toEqual([
      'stepped-down deposed',
      '2: not-leader',
      '3: not-leader',
    ]);
  });

  it('are not given when the fence does not hold', () => {
    submit(1, write(del('absent')));
    expect(brief(step({ type: 'confirmed', holds: false }))).toEqual(['read-head']);
    expect(brief(step({ type: 'head', head: headOf({ term: 4, leaderId: 'node-2' }) }))).toEqual([
      'stepped-down deposed',
      '1: not-leader',
    ]);
  });

  it('become storage-unavailable when the database is away, a stored answer outcome-unknown', () => {
    submit(1, keyed('k', 'h', put('a')));
    committed();
    submit(2, keyed('k', 'h', put('a'), false));
    expect(brief(failed('unavailable'))).toEqual(['2: outcome-unknown']);
    submit(3, write(del('absent')));
    expect(brief(failed('unavailable'))).toEqual(['3: storage-unavailable']);
  });

  it('wait for another look at the fence when the database did not answer in time', () => {
    submit(1, write(del('absent')));
    expect(brief(failed('unknown'))).toEqual([]);
    nowMs += 100;
    expect(brief(step({ type: 'tick' }))).toEqual(['confirm']);
    expect(brief(step({ type: 'confirmed', holds: true }))).toEqual(['fence-confirmed', '1: key-not-found']);
  });
});

describe('when a commit fails', () => {
  it('for want of the database nothing has happened', () => {
    submit(1, write(put('a')));
    submit(2, write(put('b')));
    expect(brief(failed('unavailable'))).toEqual(['1: storage-unavailable', 'commit 1']);
    expect(brief(failed('unavailable'))).toEqual(['2: storage-unavailable']);
    expect(replica.version).toBe(0);
  });

  it('because head was locked, it is tried again after a rest, until its time is over', () => {
    submit(1, write(put('a')));
    submit(2, { ...write(put('b')), deadlineMs: 4_000 });
    expect(brief(failed('refused'))).toEqual([]);
    expect(brief(submit(3, write(put('c'))))).toEqual([]);
    nowMs += 100;
    expect(brief(step({ type: 'tick' }))).toEqual(['commit 1,2,3']);
    failed('refused');
    nowMs = 4_000;
    expect(brief(step({ type: 'tick' }))).toEqual(['2: storage-unavailable', 'commit 1,2']);
    expect(brief(committed())).toEqual(['fence-confirmed', '1: v1', '3: v2', 'applied 1,2']);
  });

  it('for its data, halves find the one at fault', () => {
    committer = new Committer(replica, { ...COMMITTER_OPTIONS, queue: { writes: 100, bytes: 1e6 } });
    step({ type: 'lead', fence: FENCE, lostTo: null });
    submit(0, write(put('first')));
    for (let i = 1; i <= 50; i++) submit(i, write(put(i === 33 ? 'bad' : `k${i}`)));
    let actions = committed();
    const told: string[] = [];
    for (let statements = 0; !committer.isIdle; statements++) {
      expect(statements).toBeLessThan(20);
      const { batch } = commitOf(actions);
      const isBad = batch.some(({ change }) => change.operations.some(({ key }) => key === 'bad'));
      actions = isBad ? failed('data') : committed();
      told.push(...brief(actions).filter((line) => /^\d+: /.test(line)));
    }
    expect(told.filter((line) => line.includes('invalid-value'))).toEqual(['33: invalid-value']);
    expect(told).toHaveLength(50);
    expect(replica.version).toBe(50);
  });

  it('with an unknown outcome, it ends the attempt before anything else', () => {
    submit(1, write(put('a')));
    submit(2, write(put('b')));
    expect(brief(failed('unknown'))).toEqual(['bump']);
    expect(brief(submit(3, write(put('c'))))).toEqual([]);
  });

  it('and head shows the batch, it was committed', () => {
    const { version, chain } = commitOf(submit(1, write(put('a'))));
    submit(2, write(put('b')));
    failed('unknown');
    expect(brief(step({ type: 'bumped', head: { version, chain, attempt: 1 } }))).toEqual(['read-log']);
    const actions = step({ type: 'log', next: { chain, createdAt: AT } });
    expect(brief(actions)).toEqual(['commit 2', '1: v1', 'applied 1']);
    expect(commitOf(actions).fence.attempt).toBe(1);
  });

  it('and head does not show it, it is tried again under the new attempt', () => {
    submit(1, write(put('a')));
    failed('unknown');
    const actions = step({ type: 'bumped', head: { version: 0, chain: GENESIS_CHAIN, attempt: 1 } });
    expect(brief(actions)).toEqual(['commit 1']);
    expect(commitOf(actions).fence.attempt).toBe(1);
  });

  it('and head shows a history of its own, this one is given up', () => {
    submit(1, write(put('a')));
    submit(2, write(put('b')));
    failed('unknown');
    const head = { version: 1, chain: 'f'.repeat(64), attempt: 1 };
    expect(brief(step({ type: 'bumped', head }))).toEqual([
      '1: outcome-unknown',
      'stepped-down history-differs',
      '2: not-leader',
    ]);
  });

  it('and another leads by now, the log tells whether it was committed', () => {
    const { version, chain } = commitOf(submit(1, write(put('a'))));
    submit(2, write(put('b')));
    failed('unknown');
    expect(brief(step({ type: 'bumped', head: undefined }))).toEqual(['read-head']);
    const head = headOf({ term: 4, leaderId: 'node-2', version: version + 3, chain: 'e'.repeat(64) });
    expect(brief(step({ type: 'head', head }))).toEqual([
      'stepped-down deposed',
      '2: not-leader',
      'read-log',
    ]);
    expect(brief(step({ type: 'log', next: { chain, createdAt: AT } }))).toEqual(['1: v1', 'applied 1']);
  });

  it('and another leads that wrote something else there, it did not happen', () => {
    submit(1, write(put('a')));
    failed('unknown');
    step({ type: 'bumped', head: undefined });
    step({ type: 'head', head: headOf({ term: 4, leaderId: 'node-2', version: 3, chain: 'e'.repeat(64) }) });
    const next = { chain: 'f'.repeat(64), createdAt: AT };
    expect(brief(step({ type: 'log', next }))).toEqual(['1: not-leader']);
    expect(committer.isIdle).toBe(true);
  });

  it('and another leads where this one stood, it did not happen', () => {
    submit(1, write(put('a')));
    failed('unknown');
    step({ type: 'bumped', head: undefined });
    expect(brief(step({ type: 'head', head: headOf({ term: 4, leaderId: 'node-2' }) }))).toEqual([
      'stepped-down deposed',
      '1: not-leader',
    ]);
  });

  it('while the database stays away, others are told at once, and the one under way in time', () => {
    submit(1, { ...keyed('k', 'h', put('a')), deadlineMs: 1_000 });
    submit(2, write(put('b')));
    failed('unknown');
    expect(brief(failed('unavailable'))).toEqual(['2: storage-unavailable']);
    expect(brief(submit(3, write(put('c'))))).toEqual(['3: storage-unavailable']);
    expect(brief(submit(4, { ...keyed('k', 'h', put('a'), false), deadlineMs: 2_000 }))).toEqual([]);
    nowMs = 200;
    expect(brief(step({ type: 'tick' }))).toEqual(['bump']);
    failed('unknown');
    nowMs = 1_000;
    expect(brief(step({ type: 'tick' }))).toEqual(['1: outcome-unknown', 'bump']);
    expect(brief(step({ type: 'bumped', head: { version: 0, chain: GENESIS_CHAIN, attempt: 1 } }))).toEqual([
      'commit 1',
    ]);
    expect(brief(committed())).toEqual(['fence-confirmed', '4: v1', 'applied 1']);
  });
});

describe('a leader that finds no row', () => {
  it('whose attempt was counted up without its knowledge goes on with the new one', () => {
    submit(1, write(put('a')));
    expect(brief(step({ type: 'fenced' }))).toEqual(['read-head']);
    const actions = step({ type: 'head', head: headOf({ attempt: 5 }) });
    expect(commitOf(actions).fence.attempt).toBe(5);
  });

  it('does not do so for ever', () => {
    submit(1, write(put('a')));
    for (let i = 0; i < 5; i++) {
      step({ type: 'fenced' });
      expect(brief(step({ type: 'head', head: headOf({ attempt: 5 }) }))).toEqual(['commit 1']);
    }
    step({ type: 'fenced' });
    expect(brief(step({ type: 'head', head: headOf({ attempt: 5 }) }))).toEqual([
      'stepped-down history-differs',
      '1: not-leader',
    ]);
  });

  it('and whose history is not that of head gives up', () => {
    submit(1, write(put('a')));
    step({ type: 'fenced' });
    const head = headOf({ version: 9, chain: 'f'.repeat(64) });
    expect(brief(step({ type: 'head', head }))).toEqual(['stepped-down history-differs', '1: not-leader']);
  });

  it('asks again when head cannot be read', () => {
    submit(1, write(put('a')));
    step({ type: 'fenced' });
    failed('unavailable');
    nowMs += 100;
    expect(brief(step({ type: 'tick' }))).toEqual(['read-head']);
  });
});

describe('the end of a term', () => {
  it('sends those who wait elsewhere, and lets the commit under way finish', () => {
    submit(1, write(put('a')));
    submit(2, write(put('b')));
    expect(brief(step({ type: 'step-down', why: 'deposed' }))).toEqual([
      'stepped-down deposed',
      '2: not-leader',
    ]);
    expect(brief(submit(3, write(put('c'))))).toEqual(['3: not-leader']);
    expect(committer.isIdle).toBe(false);
    expect(brief(committed())).toEqual(['fence-confirmed', '1: v1', 'applied 1']);
    expect(committer.isIdle).toBe(true);
  });

  it('does not announce twice what came back by the log', () => {
    const { batch } = commitOf(submit(1, write(put('a'))));
    step({ type: 'step-down', why: 'deposed' });
    for (const { change } of batch) replica.apply({ ...change, createdAt: AT });
    expect(brief(committed())).toEqual(['fence-confirmed', '1: v1']);
  });

  it('makes an answer to a look-up of that term worthless', () => {
    submit(1, keyed('k', 'h', put('a'), false));
    step({ type: 'step-down', why: 'deposed' });
    step({ type: 'lead', fence: { ...FENCE, term: 5 }, lostTo: null });
    expect(brief(submit(2, keyed('k', 'h', put('a'), false)))).toEqual(['look-up k']);
    expect(brief(step({ type: 'looked-up', id: 1, found: new Map() }))).toEqual([]);
    expect(brief(step({ type: 'looked-up', id: 2, found: new Map() }))).toEqual(['commit 1']);
  });

  it('is none for a write that aims at another term', () => {
    expect(brief(submit(1, { ...write(put('a')), aimTerm: 2 }))).toEqual(['1: not-leader']);
    expect(brief(submit(2, { ...write(put('a')), aimTerm: 3 }))).toEqual(['commit 1']);
  });
});

describe('a pause for a handover', () => {
  it('takes nothing more, finishes what was taken, and says when', () => {
    submit(1, write(put('a')));
    submit(2, write(put('b')));
    expect(brief(step({ type: 'pause', untilMs: 600 }))).toEqual([]);
    expect(brief(submit(3, write(put('c'))))).toEqual(['3: no-leader']);
    expect(brief(committed())).toEqual(['fence-confirmed', 'commit 2', '1: v1', 'applied 1']);
    expect(brief(committed())).toEqual(['fence-confirmed', 'drained', '2: v2', 'applied 2']);
  });

  it('says so at once when there is nothing to finish, and ends by itself', () => {
    expect(brief(step({ type: 'pause', untilMs: 600 }))).toEqual(['drained']);
    nowMs = 600;
    expect(brief(step({ type: 'tick' }))).toEqual([]);
    expect(brief(submit(1, write(put('a'))))).toEqual(['commit 1']);
  });
});
