import type { Rng } from '#libs/kernel';
import { type Answer, type ApiClient, problemCode } from '../clients/api-client.js';
import { transportFailure } from '../clients/transport-error.js';
import type { History, ReadOutcome } from '../history/record.js';
import type { Failure, Via } from './failures.js';
import { OWN_KEYS, SHARED_KEYS } from './write-plan.js';

export interface ReaderOptions {
  name: string;
  via: Via;
  namespace: string;
  /** Names of writers whose keys are read. */
  writers: readonly string[];
  rng: Rng;
  history: History;
  onFailure: (failure: Failure) => void;
  /** `session`: returns the highest version it saw, so that it never goes back in time. */
  mode: 'plain' | 'session' | 'linearizable' | 'list';
  nodes: () => readonly ApiClient[];
}

/** Reads keys of the writers, one after another; stays with a node until that fails it. */
export class Reader {
  private readonly options: ReaderOptions;
  private at: number;
  private highest = 0;

  constructor(options: ReaderOptions) {
    this.options = options;
    this.at = options.rng.int(64);
  }

  async step(): Promise<void> {
    const { mode, rng, writers, nodes } = this.options;
    const available = nodes();
    const node = available[this.at % available.length];
    if (!node) throw new Error('there are no nodes to read from');
    const writer = writers[rng.int(writers.length)] ?? '';
    if (mode === 'list') await this.list(node, `own/${writer}/`);
    else
      await this.read(
        node,
        rng.next() < 0.7 ? `own/${writer}/${rng.int(OWN_KEYS)}` : `shared/${rng.int(SHARED_KEYS)}`,
      );
  }

  private async read(node: ApiClient, key: string): Promise<void> {
    const { name, namespace, mode, history } = this.options;
    const linearizable = mode === 'linearizable';
    const minVersion = mode === 'session' ? { minVersion: this.highest } : {};
    const startedAt = performance.now();
    const outcome = await this.attempt(async () => {
      const answer = await node.get(namespace, key, { linearizable, ...minVersion });
      return readOutcome(answer);
    });
    const endedAt = performance.now();
    history.reads.push({
      client: name,
      namespace,
      key,
      linearizable,
      ...minVersion,
      startedAt,
      endedAt,
      outcome,
    });
    if (outcome.type === 'error') this.failed(outcome.code, startedAt, endedAt);
    else this.highest = Math.max(this.highest, outcome.appliedVersion);
  }

  private async list(node: ApiClient, prefix: string): Promise<void> {
    const { name, namespace, history } = this.options;
    const startedAt = performance.now();
    let code: string | undefined;
    try {
      const answer = await node.list(namespace, prefix);
      if (answer.status !== 200) code = problemCode(answer);
      else {
        const page = JSON.parse(answer.body.toString()) as {
          version: number;
          items: { key: string; value: string; version: number }[];
        };
        const endedAt = performance.now();
        history.lists.push({ client: name, namespace, prefix, startedAt, endedAt, ...page });
      }
    } catch (error) {
      code = transportFailure(error).code;
    }
    if (code !== undefined) this.failed(code, startedAt, performance.now());
  }

  private async attempt(read: () => Promise<ReadOutcome>): Promise<ReadOutcome> {
    try {
      return await read();
    } catch (error) {
      return { type: 'error', status: 0, code: transportFailure(error).code };
    }
  }

  private failed(code: string, startedAt: number, endedAt: number): void {
    const { via, name, mode } = this.options;
    const what = mode === 'linearizable' ? 'linearizable-read' : mode === 'list' ? 'list' : 'read';
    this.at++;
    this.options.onFailure({ via, what, client: name, code, at: endedAt, tookMs: endedAt - startedAt });
  }
}

function readOutcome(answer: Answer): ReadOutcome {
  const appliedVersion = Number(answer.headers['holdfast-version']);
  if (answer.status < 500 && Number.isNaN(appliedVersion)) {
    return { type: 'error', status: answer.status, code: `${answer.status}-without-version` };
  }
  if (answer.status === 200) {
    const keyVersion = Number(String(answer.headers.etag).replaceAll('"', ''));
    return { type: 'value', value: answer.body.toString(), keyVersion, appliedVersion };
  }
  const code = problemCode(answer);
  if (answer.status === 404 && code === 'key-not-found') return { type: 'absent', appliedVersion };
  return { type: 'error', status: answer.status, code };
}
