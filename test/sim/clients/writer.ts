import { HEADERS } from '#libs/contracts';
import type { Rng } from '#libs/kernel';
import type { Committed, Oracle } from '../check/oracle.js';
import type { WriteBody } from '../cluster/write-endpoint.js';
import { hostOf } from '../stand-ins/http.js';
import { type Answer, CallFailed } from '../world/network.js';
import type { ClientSide } from './client-side.js';

type Operation = WriteBody['operations'][number];

const ANSWER_MS = 12_000;
const MAX_REPEATS = 6;
const NOT_DONE_FOR_SURE: ReadonlySet<string> = new Set([
  'precondition-failed',
  'key-not-found',
  'no-leader',
  'not-leader',
  'cluster-busy',
  'storage-unavailable',
  'no-available-node',
  'invalid-value',
]);

type Told = { told: 'done'; version: number } | { told: 'refused'; code: string } | { told: 'nothing' };

/** Writes one thing after the other, repeats what it was told nothing of under the same key, and checks the answers. */
export class Writer {
  acknowledged = 0;
  lastAcknowledgedMs = 0;
  private readonly rng: Rng;
  private writes = 0;
  /** Of a direct writer: whom it takes to lead. */
  private leader: string | undefined;

  constructor(
    private readonly name: string,
    private readonly side: ClientSide,
    private readonly oracle: Oracle,
    private readonly thinkMs: number,
    /** Writes to nodes themselves, to the one that leads as far as it knows. */
    private readonly direct = false,
  ) {
    this.rng = side.world.rng(name);
    this.side.process.timer(this.rng.next() * 3_000, () => this.write());
  }

  private write(): void {
    if (this.side.stopped) return;
    const id = `${this.name}-${++this.writes}`;
    const body: WriteBody = { comment: id, operations: this.operations(id) };
    const key = this.rng.int(10) < 7 ? id : undefined;
    this.attempt({
      id,
      bytes: Buffer.from(JSON.stringify(body)),
      body,
      key,
      begunVersion: this.oracle.version,
      begunMs: this.side.world.nowMs,
      attempts: 0,
      unsure: false,
    });
  }

  private next(): void {
    this.side.process.timer(this.side.thinkMs(this.rng, this.thinkMs), () => this.write());
  }

  private attempt(write: Write): void {
    write.attempts++;
    const headers: Record<string, string> =
      write.key === undefined ? {} : { [HEADERS.idempotencyKey]: write.key };
    const asked = { path: '/write', headers, body: write.bytes };
    if (!this.direct) {
      this.side.call(this.rng, asked, ANSWER_MS, (result) => this.answered(write, readAnswer(result)));
      return;
    }
    const to = this.leader ?? this.side.choose(this.rng, this.side.cluster.namesOf('node'));
    this.side.callOne(to, asked, ANSWER_MS, (result) => {
      this.leader = leaderAfter(result, to);
      this.answered(write, readAnswer(result));
    });
  }

  private answered(write: Write, told: Told): void {
    this.side.world.trace.mix(told.told.length);
    if (told.told === 'done') {
      this.acknowledged++;
      this.lastAcknowledgedMs = this.side.world.nowMs;
      this.checkDone(write, told.version);
    } else if (told.told === 'refused') {
      this.checkRefused(write, told.code);
    } else {
      write.unsure = true;
    }
    const isOpen = told.told === 'nothing' || (told.told === 'refused' && write.unsure);
    if (isOpen && write.key !== undefined && write.attempts < MAX_REPEATS && !this.side.stopped) {
      this.side.process.timer(200 + this.rng.next() * 1_500, () => this.attempt(write));
    } else {
      this.next();
    }
  }

  /** The change is in the log, at this version, and its conditions held right before it. */
  private checkDone(write: Write, version: number): void {
    const changes = this.oracle.changesOf(write.id);
    const change = changes.find((other) => other.version === version);
    if (change === undefined) {
      const is = changes.map((other) => other.version).join(', ') || 'not in the log';
      this.oracle.fail(
        'what is acknowledged is committed',
        `${write.id} was told version ${version}; it is ${is}`,
      );
      return;
    }
    if (!change.lost) this.oracle.acknowledgedAt(version);
    for (const operation of write.body.operations) {
      if (!this.holds(operation, change.previous)) {
        this.oracle.fail('conditions hold', `${write.id} was done at ${version} against its condition`);
      }
    }
  }

  private checkRefused(write: Write, code: string): void {
    // As long as an attempt without an answer may still be on its way, nothing is certain.
    if (!write.unsure) this.oracle.refusedWrite(write.id, code);
    if (code !== 'precondition-failed' && code !== 'key-not-found') return;
    if (this.oracle.lostSince(write.begunMs)) return;
    // The refusal must have been right at some moment between question and answer.
    const begun = this.oracle.at(write.begunVersion);
    for (let at = this.oracle.head; ; at = at.previous) {
      if (write.body.operations.some((operation) => !this.holds(operation, at))) return;
      if (at === undefined || at === begun || at.version <= write.begunVersion) break;
    }
    this.oracle.fail(
      'refusals are true',
      `${write.id} was refused (${code}), and its conditions held all the time`,
    );
  }

  private holds({ op, namespace, key, condition }: Operation, at: Committed | undefined): boolean {
    const standing = this.oracle.standingAt(at, `${namespace}/${key}`);
    if (op === 'delete' && standing === null) return false;
    switch (condition?.type) {
      case undefined:
        return true;
      case 'version':
        return standing?.version === condition.version;
      case 'exists':
        return standing !== null;
      case 'absent':
        return standing === null;
      case 'unmeetable':
        return false;
    }
  }

  private operations(id: string): Operation[] {
    const count = this.rng.int(6) === 0 ? 2 + this.rng.int(3) : 1;
    const operations = new Map<string, Operation>();
    for (let i = 0; i < count; i++) {
      const namespace = this.rng.int(4) === 0 ? 'zone' : 'app';
      const key = `k${this.rng.int(8)}`;
      operations.set(`${namespace}/${key}`, this.operation(namespace, key, `${id}.${i}`));
    }
    return [...operations.values()];
  }

  private operation(namespace: string, key: string, value: string): Operation {
    const condition = this.condition(namespace, key);
    const isDelete = this.rng.int(6) === 0;
    const base = { namespace, key, ...(condition === undefined ? {} : { condition }) };
    return isDelete ? { op: 'delete', ...base } : { op: 'put', value, ...base };
  }

  private condition(namespace: string, key: string): Operation['condition'] {
    switch (this.rng.int(8)) {
      case 0:
        return { type: 'absent' };
      case 1:
        return { type: 'exists' };
      case 2:
      case 3: {
        // Optimistic locking: what a reader saw a moment ago.
        const standing = this.oracle.standingAt(this.oracle.head, `${namespace}/${key}`);
        return standing === null ? { type: 'absent' } : { type: 'version', version: standing.version };
      }
      default:
        return undefined;
    }
  }
}

interface Write {
  id: string;
  bytes: Buffer;
  body: WriteBody;
  key: string | undefined;
  begunVersion: number;
  begunMs: number;
  attempts: number;
  /** An attempt may have had an effect that was not told. */
  unsure: boolean;
}

/** Whoever answered well leads; whoever does not says who does, if it knows. */
function leaderAfter(result: Answer | CallFailed | 'late', asked: string): string | undefined {
  if (result === 'late' || result instanceof CallFailed) return undefined;
  const body = JSON.parse(String(result.body)) as { code?: string; leader?: string | null };
  if (body.code !== 'not-leader') return asked;
  return typeof body.leader === 'string' ? hostOf(body.leader) : undefined;
}

function readAnswer(result: Answer | CallFailed | 'late'): Told {
  if (result === 'late') return { told: 'nothing' };
  if (result instanceof CallFailed) {
    return result.how === 'refused' ? { told: 'refused', code: 'no-available-node' } : { told: 'nothing' };
  }
  const body = JSON.parse(String(result.body)) as { version?: number; code?: string };
  if (result.status === 200) return { told: 'done', version: body.version ?? 0 };
  const { code = '' } = body;
  return NOT_DONE_FOR_SURE.has(code) ? { told: 'refused', code } : { told: 'nothing' };
}
