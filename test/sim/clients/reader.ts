import type { Rng } from '#libs/kernel';
import type { Oracle } from '../check/oracle.js';
import type { ReadReply, ReadRequest } from '../cluster/config-node.js';
import { CallFailed } from '../world/network.js';
import type { ClientSide } from './client-side.js';

const ANSWER_MS = 15_000;

/** Reads keys, telling what it has seen, and checks that it is never shown less, nor anything that never stood. */
export class Reader {
  answered = 0;
  private seen = 0;
  private readonly rng: Rng;

  constructor(
    name: string,
    private readonly side: ClientSide,
    private readonly oracle: Oracle,
    private readonly thinkMs: number,
  ) {
    this.rng = side.world.rng(name);
    side.process.timer(this.rng.next() * 5_000, () => this.read());
  }

  private read(): void {
    if (this.side.stopped) return;
    const namespace = this.rng.int(4) === 0 ? 'zone' : 'app';
    const key = `k${this.rng.int(8)}`;
    const linearizable = this.rng.int(3) === 0;
    const body: ReadRequest = { namespace, key, linearizable, minVersion: this.seen };
    const begunMs = this.side.world.nowMs;
    const begunVersion = this.oracle.version;
    this.side.call(this.rng, { path: '/read', body }, ANSWER_MS, (result) => {
      if (result !== 'late' && !(result instanceof CallFailed) && result.status === 200) {
        this.check(body, result.body as ReadReply, begunVersion, begunMs);
      }
      this.side.process.timer(this.side.thinkMs(this.rng, this.thinkMs), () => this.read());
    });
  }

  private check(asked: ReadRequest, reply: ReadReply, begunVersion: number, begunMs: number): void {
    this.answered++;
    const { oracle } = this;
    const at = oracle.byChainOf(reply.chain);
    if (reply.version > 0 && at === undefined) {
      oracle.fail('reads show what was committed', `${reply.node} answered from a history that is nobody's`);
      return;
    }
    if (reply.version < asked.minVersion) {
      oracle.fail(
        'reads never go back',
        `${reply.node} answered at ${reply.version} after ${asked.minVersion}`,
      );
    }
    const standing = oracle.standingAt(at, `${asked.namespace}/${asked.key}`);
    if (standing?.version !== reply.entry?.version || standing?.value !== reply.entry?.value) {
      oracle.fail('reads show what stood', `${reply.node} at ${reply.version}: ${asked.key}`);
    }
    if (asked.linearizable && !oracle.lostSince(begunMs) && (reply.version < begunVersion || at?.lost)) {
      oracle.fail(
        'linearizable reads are not stale',
        `${reply.node} answered at ${reply.version}${at?.lost ? ' (lost)' : ''} when ${begunVersion} was committed`,
      );
    }
    this.seen = Math.max(this.seen, reply.version);
  }
}
