import type { Rng } from '#libs/kernel';
import { watchFilter } from '#libs/watch';
import type { Committed, Oracle } from '../check/oracle.js';
import type { SimNode } from '../cluster/config-node.js';
import type { ClientSide } from './client-side.js';

const AGAIN_MS = 1_000;
/** A stream that brings nothing, not even a comment, for so long is given up. */
const SILENT_MS = 20_000;
const NAMESPACE = 'app';

/** Watches a namespace from node to node, and checks that nothing is missed, doubled or out of order. */
export class WatchClient {
  events = 0;
  /** Everything that matches up to here was told. */
  seen: number | undefined;
  private connection = 0;
  private heardMs = 0;
  private readonly rng: Rng;

  constructor(
    readonly name: string,
    private readonly side: ClientSide,
    private readonly oracle: Oracle,
  ) {
    this.rng = side.world.rng(name);
    side.process.timer(this.rng.next() * 5_000, () => this.connect());
  }

  private connect(): void {
    const connection = ++this.connection;
    const { cluster, process } = this.side;
    const living = [...cluster.nodes.values()].filter((node) => node.isReady);
    const node = living[this.rng.int(Math.max(1, living.length))];
    if (node === undefined || !cluster.network.joined(process.name, node.process.name)) {
      this.again(connection);
      return;
    }
    this.heardMs = this.side.world.nowMs;
    this.watchSilence(connection);
    node.process.deliverIn(cluster.network.delayMs(process.name, node.process.name), () =>
      this.open(node, connection),
    );
  }

  /** Inside the node. */
  private open(node: SimNode, connection: number): void {
    const { cluster, process } = this.side;
    const { name } = node.process;
    const forget = node.process.whenDead(() => this.tell(name, connection, () => this.again(connection)));
    const filter = watchFilter([{ namespace: NAMESPACE, prefix: '' }]);
    const from = this.seen;
    let lastMs = 0;
    let isOver = false;
    const pass = (run: () => void) => {
      // A stream keeps its order.
      lastMs = Math.max(lastMs, this.side.world.nowMs + cluster.network.delayMs(name, process.name));
      this.tell(name, connection, run, lastMs - this.side.world.nowMs);
    };
    const end = () => {
      if (isOver) return;
      isOver = true;
      forget();
      pass(() => this.again(connection));
    };
    node.hub.admit({ from, filter }).then(
      () => {
        const handle = node.hub.open(
          { filter, from, initial: false },
          {
            write: (frame) => pass(() => this.frame(connection, frame.toString())),
            unreadBytes: 0,
            end,
            destroy: end,
          },
        );
        this.closers.set(connection, () => node.process.deliver(() => handle.left()));
      },
      () => end(),
    );
  }

  private readonly closers = new Map<number, () => void>();

  private tell(from: string, connection: number, run: () => void, inMs = 0): void {
    const { cluster, process } = this.side;
    if (connection !== this.connection || !cluster.network.passes(from, process.name)) return;
    process.deliverIn(inMs, run);
  }

  private again(connection: number): void {
    if (connection !== this.connection) return;
    this.connection++;
    this.closers.get(connection)?.();
    this.closers.delete(connection);
    this.side.process.timer(AGAIN_MS * (0.5 + this.rng.next()), () => this.connect());
  }

  private watchSilence(connection: number): void {
    this.side.process.timer(SILENT_MS / 2, () => {
      if (connection !== this.connection) return;
      if (this.side.world.nowMs - this.heardMs > SILENT_MS) this.again(connection);
      else this.watchSilence(connection);
    });
  }

  private frame(connection: number, frame: string): void {
    if (connection !== this.connection) return;
    this.heardMs = this.side.world.nowMs;
    for (const event of frame.split('\n\n'))
      if (event.startsWith('id:') || event.startsWith('event:')) this.event(event);
  }

  private event(text: string): void {
    const type = /^event: (\w+)$/m.exec(text)?.[1];
    const version = Number(/"version":(\d+)/.exec(text)?.[1] ?? Number.NaN);
    this.events++;
    this.side.world.trace.mix(version);
    switch (type) {
      case 'reset':
        this.seen = version;
        return;
      case 'bookmark':
        this.advance(version, false);
        return;
      case 'change':
        this.advance(version, true);
        return;
      default:
        return;
    }
  }

  /** Everything that matches above what was seen has been told, up to the version. */
  private advance(version: number, isChange: boolean): void {
    const { seen } = this;
    this.seen = version;
    if (seen === undefined) return;
    if (version < seen || (isChange && version === seen)) {
      this.oracle.fail('watches are in order', `${this.name} was told ${version} after ${seen}`);
      return;
    }
    if (this.oracle.losses.some((loss) => loss.to >= seen)) return; // versions may stand for other changes by now
    const missed = this.missed(seen, version, isChange);
    if (missed !== undefined) {
      this.oracle.fail(
        'watches are complete',
        `${this.name} was told ${version} after ${seen}, without ${missed.version}`,
      );
    }
  }

  private missed(seen: number, version: number, isChange: boolean): Committed | undefined {
    for (let at = this.oracle.head; at !== undefined && at.version > seen; at = at.previous) {
      if (at.version > version || (isChange && at.version === version)) continue;
      if ([...at.effects.keys()].some((id) => id.startsWith(`${NAMESPACE}/`))) return at;
    }
    return undefined;
  }
}
