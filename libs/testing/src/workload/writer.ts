import { randomUUID } from 'node:crypto';
import type { Rng } from '#libs/kernel';
import { type Answer, type ApiClient, problemCode } from '../clients/api-client.js';
import { transportFailure } from '../clients/transport-error.js';
import type { History, WriteOutcome, WriteRecord } from '../history/record.js';
import { EXPECTED_REFUSALS, type Failure } from './failures.js';
import { type PlannedWrite, planWrite, type Versions } from './write-plan.js';
import { sendWrite, writeOutcome } from './write-request.js';

export interface WriterOptions {
  name: string;
  namespace: string;
  rng: Rng;
  history: History;
  onFailure: (failure: Failure) => void;
}

type Send = (write: PlannedWrite, mark: string) => Promise<WriteOutcome>;

/** Writes as planned, one after another, and records what came of each. */
abstract class Writer {
  protected readonly options: WriterOptions;
  private readonly versions: Versions = new Map();
  private written = 0;

  constructor(options: WriterOptions) {
    this.options = options;
  }

  protected abstract readonly via: 'gateway' | 'direct';
  protected abstract readonly send: Send;

  async step(): Promise<void> {
    const { name, namespace, rng, history } = this.options;
    const mark = history.markOf(name, ++this.written);
    const write = planWrite(rng, name, namespace, mark, this.versions);
    const startedAt = performance.now();
    const outcome = await this.send(write, mark);
    const endedAt = performance.now();
    const record: WriteRecord = {
      client: name,
      mark,
      operations: write.operations,
      startedAt,
      endedAt,
      outcome,
    };
    history.writes.push(record);
    this.remember(write, outcome);
    if (outcome.type === 'ok' || EXPECTED_REFUSALS.has(outcome.code)) return;
    const { via } = this;
    const tookMs = endedAt - startedAt;
    this.options.onFailure({ via, what: 'write', client: name, code: outcome.code, at: endedAt, tookMs });
  }

  private remember(write: PlannedWrite, outcome: WriteOutcome): void {
    const [only] = write.operations;
    if (!only?.key.startsWith('cas/')) return;
    if (outcome.type === 'ok') this.versions.set(only.key, outcome.version);
    else if (outcome.type === 'refused' && this.present !== undefined)
      this.versions.set(only.key, this.present);
  }

  /** The version that the last refusal of a condition named. */
  protected present: number | undefined;

  protected note(answer: Answer): void {
    this.present = undefined;
    if (answer.status !== 412) return;
    const { currentVersion } = JSON.parse(answer.body.toString()) as { currentVersion?: number };
    this.present = currentVersion;
  }
}

/** One attempt per write: whatever breaks behind the gateway is the gateway's to repair. */
export class GatewayWriter extends Writer {
  protected readonly via = 'gateway';
  private readonly api: ApiClient;

  constructor(options: WriterOptions, api: ApiClient) {
    super(options);
    this.api = api;
  }

  protected readonly send: Send = async (write, mark) => {
    // Half of the clients give no key of their own.
    const key = this.options.rng.next() < 0.5 ? randomUUID() : undefined;
    try {
      const answer = await sendWrite(this.api, write, mark, key);
      this.note(answer);
      return writeOutcome(write, answer);
    } catch (error) {
      return outcomeOfBroken(error);
    }
  };
}

/** How long a direct writer looks for a leader that takes its write. */
const GIVE_UP_MS = 15_000;
const PAUSE_MS = 20;

/** Writes to the nodes themselves: follows 421 to the leader and repeats with the same key until it is told. */
export class DirectWriter extends Writer {
  protected readonly via = 'direct';
  private readonly nodes: () => readonly ApiClient[];
  private at = 0;

  constructor(options: WriterOptions, nodes: () => readonly ApiClient[]) {
    super(options);
    this.nodes = nodes;
  }

  protected readonly send: Send = async (write, mark) => {
    const key = randomUUID();
    const deadline = performance.now() + GIVE_UP_MS;
    let doubt: string | undefined;
    for (;;) {
      const outcome = await this.attempt(write, mark, key);
      if (outcome.type === 'ok') return outcome;
      if (outcome.type === 'unknown') doubt = outcome.code;
      // A refusal that looked the key up settles what an earlier attempt left open; 421, 429 and 503 do not.
      if (outcome.type === 'refused' && (EXPECTED_REFUSALS.has(outcome.code) || outcome.status === 422)) {
        return outcome;
      }
      if (performance.now() > deadline) {
        return doubt === undefined ? outcome : { type: 'unknown', code: doubt };
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  };

  private async attempt(write: PlannedWrite, mark: string, key: string): Promise<WriteOutcome> {
    const nodes = this.nodes();
    const node = nodes[this.at % nodes.length];
    if (!node) throw new Error('there are no nodes to write to');
    try {
      const answer = await sendWrite(node, write, mark, key);
      this.note(answer);
      if (answer.status === 421) this.follow(answer, nodes);
      else if (answer.status >= 500) this.at++;
      return writeOutcome(write, answer);
    } catch (error) {
      this.at++;
      return outcomeOfBroken(error);
    }
  }

  private follow(answer: Answer, nodes: readonly ApiClient[]): void {
    const { leader } = JSON.parse(answer.body.toString()) as { leader?: string | null };
    const found = nodes.findIndex((node) => leader && new URL(leader).origin === node.origin);
    this.at = found >= 0 ? found : this.at + 1;
    if (problemCode(answer) !== 'not-leader') throw new Error(`421 without its code: ${answer.body}`);
  }
}

function outcomeOfBroken(error: unknown): WriteOutcome {
  const { code, neverSent } = transportFailure(error);
  return neverSent ? { type: 'refused', status: 0, code } : { type: 'unknown', code };
}
