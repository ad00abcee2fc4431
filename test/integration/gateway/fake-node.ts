import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ClusterProofs, OwnAuthorities } from '#libs/cluster-auth';
import { CHANGE_FRAMES_TYPE, type Change, changeToWire, encodeChanges, noticeFrame } from '#libs/contracts';
import { freePort } from '#libs/embedded-servers';
import { chainAfter, checksumOf, GENESIS_CHAIN } from '#libs/replica';

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
  /** The change log, for watches. */
  changes: Change[] = [];
  private readonly listeners = new Set<() => void>();
  /** In the order in which they were committed. */
  readonly log: { version: number; key: string; body: string }[] = [];
  readonly nodes: FakeNode[] = [];

  addressOfLeader(): string | null {
    return this.nodes.find((node) => node.id === this.leaderId)?.address ?? null;
  }

  /** A change of one key, known to every node that is not held back. */
  publish(key: string, text: string, namespace = 'app'): Change {
    const value = Buffer.from(text);
    const content = {
      version: this.changes.length + 1,
      term: this.term,
      kind: 'change' as const,
      author: null,
      comment: null,
      createdAt: new Date().toISOString(),
      operations: [
        {
          op: 'put' as const,
          namespace,
          key,
          value,
          contentType: 'text/plain',
          checksum: checksumOf(value),
        },
      ],
    };
    const change = { ...content, chain: chainAfter(this.changes.at(-1)?.chain ?? GENESIS_CHAIN, content) };
    this.changes.push(change);
    this.version = change.version;
    for (const listener of this.listeners) listener();
    return change;
  }

  /** The database is restored to what it was at the version. */
  restore(version: number): void {
    this.changes = this.changes.slice(0, version);
    this.version = version;
  }

  /** A key of Holdfast's own; an empty text takes it away. */
  publishSystem(key: string, text: string): void {
    this.publish(text === '' ? `${key}-no-more` : key, text, 'system');
    if (text !== '') return;
    for (const change of this.changes) {
      change.operations = change.operations.filter((one) => one.namespace !== 'system' || one.key !== key);
    }
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
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
  /** Listings, which gateways ask for themselves. */
  readonly lists: string[] = [];
  /** How many bytes each of them asked for at most. */
  readonly listBytes: (string | string[] | undefined)[] = [];
  /** The namespaces that pages of the log were asked for. */
  readonly logPages: string[][] = [];
  /** Listings arrive and are never answered. */
  listsHang = false;
  readonly readHeaders: IncomingMessage['headers'][] = [];
  readonly writes: FakeWrite[] = [];
  incarnation = 1;
  frozen = false;
  stopping = false;
  /** What becomes of the next writes: `commit-then-die` loses only the answer. */
  nextWrites: ('commit-then-die' | 'die' | 'reset' | 'commit-then-reset')[] = [];
  answerRead: Answer | undefined;
  /** Knows only changes up to here. */
  heldBackAt = Number.POSITIVE_INFINITY;
  /** Sends bytes that are no frame in place of this version. */
  damagedAt: number | undefined;
  follows = 0;
  /** Requests that arrived, answered or not, probes left out. */
  received = 0;
  answerWrite: Answer | undefined;
  private server: Server | undefined;
  private readonly proofs = new ClusterProofs('k'.repeat(32), new OwnAuthorities(new Set()));
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

  /** What the request proves of its sender. */
  standingOf(req: IncomingMessage): string {
    return this.proofs.judge(req).standing;
  }

  get connections(): number {
    return this.sockets.size;
  }

  async start(): Promise<this> {
    this.port ||= await freePort();
    const server = createServer({ keepAliveTimeout: 72_000 }, (req, res) => this.serve(req, res));
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
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
      if (req.url !== '/ping') this.received += 1;
      if (this.frozen) return; // the kernel took the bytes; nobody reads them
      this.answer(req, res, Buffer.concat(chunks).toString('utf8'));
    });
  }

  private answer(req: IncomingMessage, res: ServerResponse, body: string): void {
    const { method, url = '' } = req;
    res.setHeader('holdfast-node', this.id);
    res.setHeader('holdfast-version', String(this.version));
    res.setHeader('holdfast-term', String(this.cluster.term));
    if (req.headers['x-request-id']) res.setHeader('x-request-id', req.headers['x-request-id']);
    if (url === '/ping') this.json(res, 200, this.ping());
    else if (url.startsWith('/internal/')) this.internal(req, res);
    else if (method === 'GET' && url.includes('/configs?')) this.list(req, res);
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
      version: this.version,
      fenceConfirmedAgoMs: cluster.leaderId === this.id ? 0 : null,
      stopping: this.stopping,
      clusterId: 'fake',
    };
  }

  get version(): number {
    return Math.min(this.cluster.version, this.heldBackAt);
  }

  private internal(req: IncomingMessage, res: ServerResponse): void {
    const url = new URL(req.url ?? '', 'http://node');
    const after = Number(url.searchParams.get('after'));
    if (this.proofs.memberFault(req) !== undefined) this.problem(res, 403, 'forbidden');
    else if (url.pathname === '/internal/log') {
      const limit = Number(url.searchParams.get('limit'));
      const namespaces = url.searchParams.get('namespaces')?.split(',').filter(Boolean) ?? [];
      this.logPages.push(namespaces);
      const wanted = this.known(after).filter(
        ({ operations }) =>
          namespaces.length === 0 || operations.some(({ namespace }) => namespaces.includes(namespace)),
      );
      const page = wanted.slice(0, limit);
      const through = page.length < wanted.length ? (page.at(-1)?.version ?? after) : this.version;
      if (namespaces.length > 0) res.setHeader('holdfast-through', through);
      if (this.damagedAt === undefined) this.json(res, 200, page.map(changeToWire));
      else res.writeHead(200, { 'content-type': CHANGE_FRAMES_TYPE }).end(this.framesOf(page));
    } else if (url.pathname === '/internal/head') this.json(res, 200, { version: this.cluster.version });
    else this.follow(res, after);
  }

  private known(after: number): Change[] {
    return this.cluster.changes.filter(({ version }) => version > after && version <= this.heldBackAt);
  }

  private framesOf(changes: readonly Change[]): Buffer {
    const whole = encodeChanges(changes.filter(({ version }) => version < (this.damagedAt ?? 0)));
    const last = changes.at(-1)?.version ?? 0;
    return last < (this.damagedAt ?? 0) ? whole : Buffer.concat([whole, Buffer.alloc(16, 0xff)]);
  }

  private follow(res: ServerResponse, from: number): void {
    this.follows += 1;
    let after = from;
    const framed = this.damagedAt !== undefined;
    res.writeHead(200, { 'content-type': framed ? CHANGE_FRAMES_TYPE : 'application/x-ndjson' });
    const tell = () => {
      if (this.frozen) return;
      const changes = this.known(after);
      after = changes.at(-1)?.version ?? after;
      if (changes.length === 0) return;
      res.write(
        framed ? this.framesOf(changes) : `${JSON.stringify({ changes: changes.map(changeToWire) })}\n`,
      );
    };
    const beat = () => {
      if (this.frozen) return;
      tell();
      const { version } = this;
      const chain = this.cluster.changes[version - 1]?.chain ?? GENESIS_CHAIN;
      const line = { head: { term: this.cluster.term, version, chain }, leaderId: this.cluster.leaderId };
      res.write(framed ? noticeFrame(line) : `${JSON.stringify(line)}\n`);
    };
    beat();
    const timer = setInterval(beat, 500);
    const stop = this.cluster.onChange(tell);
    res.on('close', () => {
      clearInterval(timer);
      stop();
    });
  }

  private list(req: IncomingMessage, res: ServerResponse): void {
    const url = new URL(req.url ?? '', 'http://node');
    const cursor = url.searchParams.get('cursor');
    const named = url.pathname.split('/')[3] ?? '';
    const [namespace, prefix, version, after] = (
      cursor === null
        ? [named, url.searchParams.get('prefix') ?? '', this.version, '']
        : JSON.parse(Buffer.from(cursor, 'base64url').toString())
    ) as [string, string, number, string];
    this.lists.push(req.url ?? '');
    this.listBytes.push(req.headers['holdfast-page-bytes']);
    if (this.listsHang) return;
    const items = new Map<string, object>();
    for (const change of this.cluster.changes) {
      if (change.version > version) break;
      for (const operation of change.operations) {
        if (operation.op !== 'put' || operation.namespace !== namespace) continue;
        const { key, value, contentType, checksum } = operation;
        if (!key.startsWith(prefix) || key <= after) continue;
        const item = { key, value: value.toString(), contentType, checksum, version: change.version };
        items.set(key, { ...item, updatedAt: change.createdAt });
      }
    }
    this.json(res, 200, { version, items: [...items.keys()].sort().map((key) => items.get(key)) });
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
    const [, , , namespace = '', , ...key] = (req.url ?? '').split('?', 1)[0]?.split('/') ?? [];
    this.json(res, 200, { namespace, key: key.join('/'), version, term: cluster.term });
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
