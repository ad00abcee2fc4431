import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Change } from '#libs/contracts';
import { chainAfter, checksumOf, GENESIS_CHAIN, Replica } from '#libs/replica';
import type { BatchChange, Fence } from '../log.types.js';
import { COMMITTER_OPTIONS, Committer } from './committer.js';
import type { CommitterAction, CommitterInput, StatementFailure, StoredAnswer } from './committer.types.js';
import type { Precondition, WriteOutcome, WriteRequest } from './write.js';

/*
 * The committer against a database that loses answers, delays statements past their time-out, goes away, and lets
 * another leader take over at any moment. Whatever the order of events: what was acknowledged is in the log, once and
 * in its place; what was refused is not, and never will be; and a refusal was true at some moment while it was asked for.
 */

const ME = 'node-1';
const KEYS = ['a', 'b'];
const AT = '2026-01-01T00:00:00.000Z';

/** `config.head` and the log: what the statements do, and no more. */
class ModelDatabase {
  term = 1;
  leaderId: string = ME;
  incarnation = 1;
  attempt = 0;
  readonly log: (Change & { requestId: string | null; requestHash: Buffer | null; created: boolean[] })[] =
    [];

  get version(): number {
    return this.log.length;
  }
  get chain(): string {
    return this.log.at(-1)?.chain ?? GENESIS_CHAIN;
  }

  matches(fence: Fence): boolean {
    return (
      fence.term === this.term &&
      fence.leaderId === this.leaderId &&
      fence.incarnation === this.incarnation &&
      fence.attempt === this.attempt &&
      fence.version === this.version &&
      fence.chain === this.chain
    );
  }

  commit(fence: Fence, batch: readonly BatchChange[]): 'committed' | 'fenced' | 'data' {
    if (!this.matches(fence)) return 'fenced';
    const taken = new Set(this.log.map((change) => change.requestId));
    for (const { requestId, change } of batch) {
      if (requestId !== null && taken.has(requestId)) return 'data';
      taken.add(requestId);
      if (change.comment === 'poison') return 'data';
    }
    for (const { change, requestId, requestHash, created } of batch) {
      this.log.push({ ...change, createdAt: AT, requestId, requestHash, created });
    }
    return 'committed';
  }

  bump({ term, leaderId, incarnation }: Fence) {
    if (term !== this.term || leaderId !== this.leaderId || incarnation !== this.incarnation)
      return undefined;
    this.attempt++;
    const { version, chain, attempt } = this;
    return { version, chain, attempt };
  }

  claim(winner: string): void {
    this.term++;
    this.leaderId = winner;
    this.attempt = 0;
  }

  head() {
    const { term, leaderId, incarnation, attempt, version, chain } = this;
    return { term, leaderId, incarnation, attempt, version, chain };
  }

  find(keys: readonly string[]): Map<string, StoredAnswer> {
    const found = new Map<string, StoredAnswer>();
    for (const change of this.log) {
      if (change.requestId === null || !keys.includes(change.requestId)) continue;
      const operations = change.operations.map((operation) => {
        if (operation.op === 'delete') return operation;
        const { value: _, ...rest } = operation;
        return rest;
      });
      const { version, term, createdAt } = change;
      found.set(change.requestId, {
        requestHash: change.requestHash,
        change: { version, term, createdAt, operations },
        created: change.created,
      });
    }
    return found;
  }

  /** Version at a key after the first `version` changes. */
  versionAt(key: string, version: number): number | undefined {
    let at: number | undefined;
    for (const change of this.log.slice(0, version)) {
      for (const operation of change.operations) {
        if (operation.key === key) at = operation.op === 'put' ? change.version : undefined;
      }
    }
    return at;
  }
}

type Event =
  | { type: 'submit'; key: number; remove: boolean; condition: number; id: number; poison: boolean }
  /** What becomes of the oldest statement under way. */
  | { type: 'finish'; how: 'done' | 'answer-lost' | 'delayed' | 'unavailable' | 'refused' }
  | { type: 'look-up'; how: 'done' | 'unavailable' | 'unknown' }
  /** A statement that was given up arrives after all. */
  | { type: 'zombie'; which: number }
  | { type: 'usurp'; writes: number }
  | { type: 'return' }
  | { type: 'time'; ms: number };

const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('submit' as const),
      key: fc.nat({ max: KEYS.length - 1 }),
      remove: fc.boolean(),
      condition: fc.nat({ max: 5 }),
      id: fc.nat({ max: 6 }),
      poison: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('finish' as const),
      how: fc.constantFrom('done', 'done', 'done', 'answer-lost', 'delayed', 'unavailable', 'refused'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('look-up' as const),
      how: fc.constantFrom('done', 'done', 'unavailable', 'unknown'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('zombie' as const), which: fc.nat({ max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('usurp' as const), writes: fc.nat({ max: 2 }) }) },
  { weight: 2, arbitrary: fc.constant({ type: 'return' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('time' as const), ms: fc.constantFrom(50, 150, 1_100, 3_000) }),
  },
);

interface Asked {
  request: WriteRequest;
  versionAtAsking: number;
  answers: ({ outcome: WriteOutcome } | { code: string; versionAtAnswer: number })[];
}

class Simulation {
  readonly database = new ModelDatabase();
  readonly replica = new Replica();
  readonly committer = new Committer(this.replica, {
    ...COMMITTER_OPTIONS,
    queue: { writes: 8, bytes: 1e6 },
  });
  readonly asked = new Map<number, Asked>();
  private statements: CommitterAction[] = [];
  private lookUps: Extract<CommitterAction, { type: 'look-up' }>[] = [];
  private zombies: Extract<CommitterAction, { type: 'commit' | 'bump' }>[] = [];
  private nowMs = 0;
  private tickets = 0;
  private announced = 0;

  constructor() {
    this.lead();
  }

  happen(event: Event): void {
    switch (event.type) {
      case 'submit':
        this.submit(event);
        break;
      case 'finish':
        this.finish(event.how);
        break;
      case 'look-up':
        this.lookUp(event.how);
        break;
      case 'zombie':
        this.arrive(event.which);
        break;
      case 'usurp':
        this.usurp(event.writes);
        break;
      case 'return':
        this.comeBack();
        break;
      case 'time':
        this.nowMs += event.ms;
        this.step({ type: 'tick' });
        break;
    }
  }

  /** No more faults: everything that was begun comes to its end. */
  settle(): void {
    for (let i = 0; i < 200 && !this.isSettled; i++) {
      this.finish('done');
      this.lookUp('done');
      this.nowMs += 100;
      this.step({ type: 'tick' });
    }
    while (this.zombies.length > 0) this.arrive(0);
  }

  private get isSettled(): boolean {
    const waits = [...this.asked.values()].some(({ answers }) => answers.length === 0);
    return !waits && this.statements.length === 0 && this.lookUps.length === 0 && this.committer.isIdle;
  }

  private submit(event: Extract<Event, { type: 'submit' }>): void {
    const ticket = ++this.tickets;
    const idempotencyKey = event.id === 0 ? null : `id-${event.id}`;
    const key = KEYS[event.key] as string;
    // Requests with one idempotency key are mostly the same, sometimes another one.
    const value = Buffer.from(
      idempotencyKey === null ? `ticket ${ticket}` : `${idempotencyKey} ${event.remove}`,
    );
    const conditions: (Precondition | undefined)[] = [
      undefined,
      undefined,
      { type: 'absent' },
      { type: 'exists' },
      { type: 'version', version: 1 },
      { type: 'version', version: 3 },
    ];
    const condition = conditions[event.condition];
    const checksum = checksumOf(value);
    const request: WriteRequest = {
      kind: 'put',
      idempotencyKey,
      requestHash:
        idempotencyKey === null ? null : Buffer.from(JSON.stringify([event.remove, event.key, condition])),
      keyIsFresh: false,
      aimTerm: null,
      author: null,
      comment: event.poison && idempotencyKey === null ? 'poison' : null,
      operations: event.remove
        ? [{ op: 'delete', namespace: 'app', key, condition }]
        : [{ op: 'put', namespace: 'app', key, value, contentType: 'text/plain', checksum, condition }],
      deadlineMs: this.nowMs + 5_000,
    };
    this.asked.set(ticket, { request, versionAtAsking: this.database.version, answers: [] });
    this.step({ type: 'submit', ticket, request });
  }

  private finish(how: Extract<Event, { type: 'finish' }>['how']): void {
    const statement = this.statements.shift();
    if (statement === undefined) return;
    const isWrite = statement.type === 'commit' || statement.type === 'bump';
    if (how === 'done') {
      this.step(this.execute(statement));
      return;
    }
    if (how === 'answer-lost') this.execute(statement);
    if (how === 'delayed' && isWrite) this.zombies.push(statement);
    this.fail(how === 'unavailable' || how === 'refused' ? how : 'unknown');
  }

  private fail(failure: StatementFailure): void {
    this.step({ type: 'failed', failure, message: 'simulated' });
  }

  private execute(statement: CommitterAction): CommitterInput {
    const { database } = this;
    switch (statement.type) {
      case 'commit': {
        const result = database.commit(statement.fence, statement.batch);
        if (result === 'data') return { type: 'failed', failure: 'data', message: 'simulated' };
        return result === 'fenced' ? { type: 'fenced' } : { type: 'committed', createdAt: AT };
      }
      case 'confirm':
        return { type: 'confirmed', holds: database.matches(statement.fence) };
      case 'bump':
        return { type: 'bumped', head: database.bump(statement.fence) };
      case 'read-head':
        return { type: 'head', head: database.head() };
      case 'read-log':
        return { type: 'log', next: database.log[statement.after] };
      default:
        throw new Error(`${statement.type} is not a statement`);
    }
  }

  private lookUp(how: 'done' | 'unavailable' | 'unknown'): void {
    const lookUp = this.lookUps.shift();
    if (lookUp === undefined) return;
    const { id, keys } = lookUp;
    if (how !== 'done') this.step({ type: 'look-up-failed', id, failure: how, message: 'simulated' });
    else this.step({ type: 'looked-up', id, found: this.database.find(keys) });
  }

  private arrive(which: number): void {
    const [zombie] = this.zombies.splice(which % Math.max(1, this.zombies.length), 1);
    if (zombie !== undefined) this.execute(zombie);
  }

  private usurp(writes: number): void {
    const { database } = this;
    database.claim('node-2');
    for (let i = 0; i < writes; i++) {
      const value = Buffer.from(`usurper ${database.version}`);
      const key = KEYS[i % 2] as string;
      const checksum = checksumOf(value);
      const content = {
        version: database.version + 1,
        term: database.term,
        kind: 'change' as const,
        author: null,
        comment: null,
        operations: [
          { op: 'put' as const, namespace: 'app', key, value, contentType: 'text/plain', checksum },
        ],
      };
      const chain = chainAfter(database.chain, content);
      const request = { requestId: null, requestHash: null, created: [false] };
      database.log.push({ ...content, chain, createdAt: AT, ...request });
    }
  }

  /** Head names this node again; it leads as soon as it may. */
  private comeBack(): void {
    if (this.committer.isLeading) return;
    if (this.database.leaderId !== ME) this.database.claim(ME);
    if (this.committer.isIdle) this.lead();
  }

  private lead(): void {
    const { database, replica } = this;
    for (const change of database.log.slice(replica.version)) expect(replica.apply(change)).toBe('applied');
    this.announced = replica.version;
    this.statements = [];
    const { leaderId: _, ...head } = database.head();
    this.step({ type: 'lead', fence: { ...head, leaderId: ME }, lostTo: null });
  }

  private step(input: CommitterInput): void {
    for (const action of this.committer.handle(input, this.nowMs)) this.perform(action);
  }

  private perform(action: CommitterAction): void {
    switch (action.type) {
      case 'answer':
        this.asked.get(action.ticket)?.answers.push({ outcome: action.outcome });
        break;
      case 'refuse':
        this.told(action.ticket, action.problem.code);
        break;
      case 'not-leader':
        this.told(action.ticket, 'not-leader');
        break;
      case 'look-up':
        this.lookUps.push(action);
        break;
      case 'applied':
        for (const change of action.changes) expect(change.version).toBeGreaterThan(this.announced);
        this.announced = action.changes.at(-1)?.version ?? this.announced;
        break;
      case 'fence-confirmed':
      case 'stepped-down':
      case 'drained':
        break;
      default:
        this.statements.push(action);
        expect(this.statements).toHaveLength(1);
    }
  }

  private told(ticket: number, code: string): void {
    this.asked.get(ticket)?.answers.push({ code, versionAtAnswer: this.database.version });
  }
}

function holds(condition: Precondition, current: number | undefined): boolean {
  if (condition.type === 'version') return current === condition.version;
  return (condition.type === 'exists') === (current !== undefined);
}

function check({ database, replica, asked }: Simulation): void {
  const { log } = database;
  expect(log.map((change) => change.version)).toEqual(log.map((_, index) => index + 1));
  for (const [index, change] of log.entries()) {
    expect(change.term).toBeGreaterThanOrEqual(log[index - 1]?.term ?? 0);
    expect(chainAfter(log[index - 1]?.chain ?? GENESIS_CHAIN, change)).toBe(change.chain);
  }
  const ids = log.flatMap(({ requestId }) => (requestId === null ? [] : [requestId]));
  expect(new Set(ids).size).toBe(ids.length);
  expect(replica.version <= log.length && (log[replica.version - 1]?.chain ?? GENESIS_CHAIN)).toBe(
    replica.chain,
  );

  for (const [ticket, { request, versionAtAsking, answers }] of asked) {
    expect(answers, `answers to ${ticket}`).toHaveLength(1);
    const [answer] = answers;
    if (answer === undefined) continue;
    const [operation] = request.operations;
    if (operation === undefined) continue;
    const { idempotencyKey: id } = request;
    if ('outcome' in answer) {
      const change = log[answer.outcome.version - 1];
      expect(change?.requestId ?? null).toBe(id);
      if (id !== null) expect(change?.requestHash).toEqual(request.requestHash);
      else if (operation.op === 'put') {
        expect(change?.operations[0]).toMatchObject({ op: 'put', value: operation.value });
      }
      const before = database.versionAt(operation.key, answer.outcome.version - 1);
      if (operation.condition !== undefined) expect(holds(operation.condition, before)).toBe(true);
      if (operation.op === 'delete') expect(before).toBeDefined();
      expect(answer.outcome.created).toEqual([operation.op === 'put' && before === undefined]);
      continue;
    }
    const { code, versionAtAnswer } = answer;
    // Without a key nobody else can have made the same write: refused means that it is not there.
    if (code !== 'outcome-unknown' && id === null && operation.op === 'put') {
      const there = log.some(({ operations: [o] }) => o?.op === 'put' && o.value.equals(operation.value));
      expect(there, `${ticket} was told ${code}`).toBe(false);
    }
    if (code === 'precondition-failed' || code === 'key-not-found') {
      const moments = Array.from(
        { length: versionAtAnswer - versionAtAsking + 1 },
        (_, i) => versionAtAsking + i,
      );
      const wasTrue = moments.some((version) => {
        const current = database.versionAt(operation.key, version);
        if (code === 'key-not-found') return current === undefined;
        return operation.condition !== undefined && !holds(operation.condition, current);
      });
      expect(wasTrue, `${ticket}: ${code} was never true`).toBe(true);
    }
    if (code === 'idempotency-key-reused') {
      expect(
        log.some(
          (change) =>
            change.requestId === id && !change.requestHash?.equals(request.requestHash ?? Buffer.alloc(0)),
        ),
      ).toBe(true);
    }
    if (code === 'invalid-value') expect(request.comment).toBe('poison');
  }
}

describe('the committer over a faulty database', () => {
  it('loses, doubles and invents nothing', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.array(event, { minLength: 5, maxLength: 120 }), (events) => {
        const simulation = new Simulation();
        for (const one of events) simulation.happen(one);
        simulation.settle();
        check(simulation);
      }),
      { numRuns: 500 },
    );
  });
});
