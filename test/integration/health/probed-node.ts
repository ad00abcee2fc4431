import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { freePort } from '#libs/embedded-servers';

export type Mood = 'ready' | 'not-ready' | 'hung' | 'busy' | 'error' | 'garbled' | 'stranger' | 'cut';

/** A real HTTP server that answers `GET /health` as a config node would, or in one of the ways in which it would not. */
export class ProbedNode {
  mood: Mood = 'ready';
  incarnation = Date.now();
  /** When each probe came, and from which health instance. */
  readonly probes: { atMs: number; observer: string }[] = [];
  overlapping = 0;
  private server: Server | undefined;
  private port = 0;
  private open = 0;
  private readonly sockets = new Set<Socket>();

  constructor(readonly id: string) {}

  get address(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    this.port ||= await freePort();
    const server = createServer((request, response) => this.answer(request, response));
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.server = server;
    return this;
  }

  /** As the kernel does when the process is killed. */
  async crash(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.sockets) socket.resetAndDestroy();
    await closed;
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const observer = /holdfast-health\/(\S+)/.exec(request.headers['user-agent'] ?? '')?.[1] ?? '';
    this.probes.push({ atMs: performance.now(), observer });
    this.open++;
    this.overlapping = Math.max(this.overlapping, this.open);
    response.on('close', () => {
      this.open--;
    });
    const send = (status: number, body: unknown, headers: Record<string, string> = {}) =>
      response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
    const report = (ok: boolean, nodeId = this.id) => ({
      status: ok ? 'ready' : 'not-ready',
      nodeId,
      incarnation: this.incarnation,
      checks: { state: { ok }, bus: { ok: true } },
    });
    switch (this.mood) {
      case 'ready':
        return void send(200, report(true));
      case 'not-ready':
        return void send(503, report(false));
      case 'stranger':
        return void send(200, report(true, 'somebody-else'));
      case 'busy':
        return void send(503, report(false), { 'retry-after': '1' });
      case 'error':
        return void send(500, 'boom');
      case 'garbled':
        return void send(200, '{"status":');
      case 'cut':
        return void request.socket.destroy();
      case 'hung':
        return;
    }
  }
}
