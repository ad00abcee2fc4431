import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { SecretSearch } from './secret-search.js';

/** A TCP proxy that searches every byte in both directions for a secret. */
export class CaptureProxy {
  private readonly searches: Record<'up' | 'down', SecretSearch[]> = { up: [], down: [] };
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly secret: string,
    private readonly target: { host: string; port: number },
  ) {
    server.on('connection', (socket) => this.accept(socket));
  }

  static async start(
    secret: string,
    target: { host: string; port: number },
    port = 0,
  ): Promise<CaptureProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const proxy = new CaptureProxy(server, secret, target);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** `up`: from clients to the server. */
  hits(direction: 'up' | 'down'): number {
    return this.searches[direction].reduce((sum, { hits }) => sum + hits, 0);
  }

  bytes(direction: 'up' | 'down'): number {
    return this.searches[direction].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private accept(client: Socket): void {
    const server = connect({ ...this.target, allowHalfOpen: true, noDelay: true });
    this.pass(client, server, 'up');
    this.pass(server, client, 'down');
  }

  /** What ends one side ends the other in the same way: a reset tells more than an end. */
  private pass(from: Socket, to: Socket, direction: 'up' | 'down'): void {
    const search = new SecretSearch(this.secret);
    this.searches[direction].push(search);
    this.sockets.add(from);
    from.on('data', (chunk: Buffer) => search.push(chunk));
    from.pipe(to);
    from.on('error', () => to.resetAndDestroy());
    from.on('close', () => {
      this.sockets.delete(from);
      if (!from.readableEnded) to.destroy();
    });
  }
}
