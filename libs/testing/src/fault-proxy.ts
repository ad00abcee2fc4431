import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Lane, type LaneFaults } from './lane.js';

export type Direction = 'up' | 'down' | 'both';

/**
 * A TCP proxy in user space that does to its connections what a bad network does: it stands between a client and a
 * server where the kernel offers no packet filter. `up` is from the client to the server. Bytes that were dropped
 * are never made up for, so that a connection which lost some is reset when the fault ends.
 */
export class FaultProxy {
  private readonly links = new Set<Link>();
  private readonly faults: Record<'up' | 'down', LaneFaults> = {
    up: { delayMs: 0, drop: false, paused: false, bytesPerSecond: Number.POSITIVE_INFINITY },
    down: { delayMs: 0, drop: false, paused: false, bytesPerSecond: Number.POSITIVE_INFINITY },
  };
  private refusing = false;

  private readonly server: Server;
  private target: { host: string; port: number };

  private constructor(server: Server, target: { host: string; port: number }) {
    this.server = server;
    this.target = target;
    server.on('connection', (socket) => this.accept(socket));
  }

  static async start(target: { host: string; port: number }): Promise<FaultProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const proxy = new FaultProxy(server, target);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.links.size;
  }

  /** Where new connections go. */
  retarget(target: { host: string; port: number }): void {
    this.target = target;
  }

  delay(delayMs: number, direction: Direction = 'both'): void {
    this.change(direction, { delayMs });
  }

  bandwidth(bytesPerSecond: number, direction: Direction = 'both'): void {
    this.change(direction, { bytesPerSecond });
  }

  /** Bytes stop moving and are delivered after `resume`. */
  pause(direction: Direction = 'both'): void {
    this.change(direction, { paused: true });
  }

  resume(direction: Direction = 'both'): void {
    this.change(direction, { paused: false });
  }

  /** Bytes vanish, connections stay open, and new ones are accepted into the void: a cable pulled. */
  drop(direction: Direction = 'both'): void {
    this.change(direction, { drop: true });
  }

  /** New connections are reset at once; with `reset`, a port on which nobody listens. */
  refuse(): void {
    this.refusing = true;
  }

  /** Resets every open connection. */
  reset(): void {
    for (const link of this.links) link.reset();
  }

  /** Ends all faults. Connections that lost bytes are reset: they can't be made whole. */
  heal(): void {
    this.refusing = false;
    this.change('both', {
      delayMs: 0,
      drop: false,
      paused: false,
      bytesPerSecond: Number.POSITIVE_INFINITY,
    });
    for (const link of this.links) if (link.lostBytes) link.reset();
  }

  async close(): Promise<void> {
    this.reset();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private change(direction: Direction, change: Partial<LaneFaults>): void {
    if (direction !== 'down') Object.assign(this.faults.up, change);
    if (direction !== 'up') Object.assign(this.faults.down, change);
    for (const link of this.links) link.wake();
  }

  private accept(client: Socket): void {
    if (this.refusing) {
      client.on('error', () => client.destroy());
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ ...this.target, allowHalfOpen: true, noDelay: true });
    const link = new Link(client, upstream, this.faults, () => this.links.delete(link));
    this.links.add(link);
  }
}

/** One connection: two sockets and a lane in each direction. When one side breaks, so does the other. */
class Link {
  private readonly up: Lane;
  private readonly down: Lane;

  private readonly client: Socket;
  private readonly upstream: Socket;

  constructor(
    client: Socket,
    upstream: Socket,
    faults: Readonly<Record<'up' | 'down', LaneFaults>>,
    onClosed: () => void,
  ) {
    this.client = client;
    this.upstream = upstream;
    this.up = new Lane(client, upstream, faults.up);
    this.down = new Lane(upstream, client, faults.down);
    let open = 2;
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      socket.on('error', () => other.resetAndDestroy());
      socket.on('close', () => {
        if (--open === 0) onClosed();
      });
    }
  }

  get lostBytes(): boolean {
    return this.up.lostBytes || this.down.lostBytes;
  }

  wake(): void {
    this.up.pump();
    this.down.pump();
  }

  reset(): void {
    this.up.stop();
    this.down.stop();
    this.client.resetAndDestroy();
    this.upstream.resetAndDestroy();
  }
}
