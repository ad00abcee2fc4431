import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { SecretSearch } from '#libs/testing';

export interface Captured {
  method: string;
  path: string;
  rawHeaders: string[];
  body: Buffer;
}

/**
 * A foreign process at an address that the cluster takes for one of its nodes. It claims to lead, answers whatever it is
 * asked, and keeps what it is sent.
 */
export class Impostor {
  readonly id = 'impostor';
  readonly captured: Captured[] = [];
  readonly search: SecretSearch;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  constructor(secret: string) {
    this.search = new SecretSearch(secret);
    this.server = createServer((req, res) => this.serve(req, res));
    this.server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      const emit = socket.emit.bind(socket);
      // Every byte before anything reads it.
      socket.emit = (event: string, ...args: unknown[]) => {
        if (event === 'data' && Buffer.isBuffer(args[0])) this.search.push(args[0]);
        return emit(event, ...args);
      };
      socket.on('data', () => undefined);
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get address(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private serve(req: IncomingMessage, res: ServerResponse): void {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const { method = '', url: path = '', rawHeaders } = req;
      this.captured.push({ method, path, rawHeaders, body: Buffer.concat(chunks) });
      res.setHeader('content-type', 'application/json');
      if (path === '/internal/tether') res.write('\n');
      else res.end(JSON.stringify(path === '/ping' ? this.ping() : { version: 1, term: 1 }));
    });
  }

  private ping() {
    return {
      ...{ nodeId: this.id, incarnation: 1, role: 'leader', term: 1, version: 0 },
      ...{ fenceConfirmedAgoMs: null, stopping: false, clusterId: 'impostor' },
    };
  }
}

/** Sends what was captured to another process, as it came or under that process's own name. */
export function replay(
  { method, path, rawHeaders, body }: Captured,
  address: string,
  host: 'as it came' | 'its own',
): Promise<number> {
  const { hostname, port, host: own } = new URL(address);
  const headers: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = rawHeaders.slice(i, i + 2);
    if (/^(connection|transfer-encoding|content-length)$/i.test(name)) continue;
    headers.push(name, /^host$/i.test(name) && host === 'its own' ? own : value);
  }
  if (body.length > 0) headers.push('content-length', String(body.length));
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path, headers, setHost: false, agent: false }, (res) => {
      resolve(res.statusCode ?? 0);
      res.destroy();
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
