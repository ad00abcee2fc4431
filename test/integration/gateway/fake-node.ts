import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface FakeWrite {
  key: string | undefined;
  attempt: string | undefined;
  aimTerm: string | undefined;
  body: string;
  url: string;
}

/** What the fake nodes of a test share, as the database does for real ones. */
export class FakeCluster {
  term = 1;
  leaderId: string | null = null;
  version = 0;
  readonly committed = new Map<string, { version: number; by: string }>();
  /** In the order in which they were committed. */
  readonly log: { version: number; key: string; body: string }[] = [];
  readonly nodes: FakeNode[] = [];

  addressOfLeader(): string | null {
    return this.nodes.find((node) => node.id === this.leaderId)?.address ?? null;
  }

  commit(write: FakeWrite, by: string): { version: number } {
    const key = write.key ?? `none-${this.version}`;
    const known = this.committed.get(key);
    if (known) return known;
    this.version += 1;
    const commit = { version: this.version, by };
    this.committed.set(key, commit);
    this.log.push({ version: this.version, key, body: write.body });
    return commit;
  }
}

type Answer = (req: IncomingMessage, res: ServerResponse, body: string) => void;

/** A config node as a gateway sees it, on real sockets, with faults on demand. */
export class FakeNode {
  readonly reads: string[] = [];
  readonly readHeaders: IncomingMessage['headers'][] = [];
  readonly writes: FakeWrite[] = [];
  incarnation = 1;
  frozen = false;
  stopping = false;
  /** What becomes of the next writes: `commit-then-die` loses only the answer. */
  nextWrites: ('commit-then-die' | 'die' | 'reset' | 'commit-then-reset')[] = [];
  answerRead: Answer | undefined;
  answerWrite: Answer | undefined;
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();
  private port = 0;

  constructor(
    readonly id: string,
    private readonly cluster: FakeCluster,
  ) {
    cluster.nodes.push(this);
  }

  get address(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.sockets.size;
  }

  async start(): Promise<this> {
    const server = createServer({ keepAliveTimeout: 72_000 }, (req, res) => this.serve(req, res));
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
    return this;
  }

  /** As kill -9 looks from outside: all connections closed, new ones refused. */
  async kill(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    this.frozen = false;
    if (!server) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.sockets) socket.resetAndDestroy();
    await closed;
  }

  private serve(req: IncomingMessage, res: ServerResponse): void {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      if (this.frozen) return; // the kernel took the bytes; nobody reads them
      this.answer(req, res, Buffer.concat(chunks).toString('utf8'));
    });
  }

  private answer(req: IncomingMessage, res: ServerResponse, body: string): void {
    const { method, url = '' } = req;
    res.setHeader('holdfast-node', this.id);
    res.setHeader('holdfast-version', String(this.cluster.version));
    res.setHeader('holdfast-term', String(this.cluster.term));
    if (req.headers['x-request-id']) res.setHeader('x-request-id', req.headers['x-request-id']);
    if (url === '/ping') this.json(res, 200, this.ping());
    else if (method === 'GET' || method === 'HEAD') this.read(req, res, body);
    else this.write(req, res, body);
  }

  private ping() {
    const { cluster } = this;
    return {
      nodeId: this.id,
      incarnation: this.incarnation,
      role: cluster.leaderId === this.id ? 'leader' : 'follower',
      term: cluster.term,
      version: cluster.version,
      fenceConfirmedAgoMs: null,
      stopping: this.stopping,
      clusterId: 'fake',
    };
  }

  private read(req: IncomingMessage, res: ServerResponse, body: string): void {
    this.reads.push(req.url ?? '');
    this.readHeaders.push(req.headers);
    if (this.stopping) this.problem(res, 503, 'shutting-down');
    else if (this.answerRead) this.answerRead(req, res, body);
    else {
      const value = `value at ${this.id}`;
      res.writeHead(200, { 'content-type': 'text/plain', etag: '"1"', 'content-length': value.length });
      res.end(req.method === 'HEAD' ? undefined : value);
    }
  }

  private write(req: IncomingMessage, res: ServerResponse, body: string): void {
    const { cluster } = this;
    const header = (name: string) => req.headers[name] as string | undefined;
    const write = {
      key: header('idempotency-key'),
      attempt: header('holdfast-attempt'),
      aimTerm: header('holdfast-aim-term'),
      body,
      url: req.url ?? '',
    };
    this.writes.push(write);
    if (this.answerWrite) this.answerWrite(req, res, body);
    else if (cluster.leaderId === this.id && Number(write.aimTerm) === cluster.term)
      this.lead(write, req, res);
    else this.problem(res, 421, 'not-leader', { leader: cluster.addressOfLeader() });
  }

  private lead(write: FakeWrite, req: IncomingMessage, res: ServerResponse): void {
    const { cluster } = this;
    const fault = this.nextWrites.shift();
    if (fault === 'commit-then-die' || fault === 'commit-then-reset') cluster.commit(write, this.id);
    if (fault === 'reset' || fault === 'commit-then-reset') {
      req.socket.resetAndDestroy();
      return;
    }
    if (fault !== undefined) {
      this.kill().catch((error: unknown) => res.destroy(error as Error));
      return;
    }
    const { version } = cluster.commit(write, this.id);
    this.json(res, 200, { version, term: cluster.term });
  }

  problem(res: ServerResponse, status: number, code: string, members: object = {}): void {
    res.setHeader('content-type', 'application/problem+json');
    this.json(res, status, {
      type: `urn:holdfast:error:${code}`,
      title: code,
      status,
      code,
      detail: code,
      ...members,
    });
  }

  json(res: ServerResponse, status: number, body: unknown): void {
    const bytes = Buffer.from(JSON.stringify(body));
    if (!res.hasHeader('content-type')) res.setHeader('content-type', 'application/json');
    res.writeHead(status, { 'content-length': bytes.length });
    res.end(bytes);
  }
}
