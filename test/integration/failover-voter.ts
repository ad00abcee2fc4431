import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { connect, headers, type Msg, type NatsConnection } from '@nats-io/transport-node';
import type { PollReply } from '#libs/contracts';
import { freePort } from '#libs/embedded-servers';
import { signing } from '#libs/testing';

export interface VoterOptions {
  id: string;
  nats: { port: number; user: string; password: string } | undefined;
  priority?: number;
}

/**
 * A config node as failover sees one: pings, tether, poll, pause and heartbeats on real sockets, and nothing behind
 * them. `crash` does to its sockets what the kernel does to those of a killed process.
 */
export class Voter {
  readonly id: string;
  incarnation = Date.now();
  version = 0;
  chain = '0'.repeat(64);
  leads = false;
  term = 0;
  eligible = true;
  /** Why it is not eligible, when it is not. */
  unfit = 'storage-unavailable';
  /** Questions on the bus get a refusal; over HTTP they are answered. */
  refusesOnBus = false;
  /** How long a leader takes to finish what it has taken. */
  drainMs = 0;
  /** What it says its fence's age is; undefined = it was just confirmed. */
  fenceConfirmedAgoMs: number | undefined;
  polls = 0;
  pauses = 0;
  /** Connections that hold on to it, as failover instances do for as long as it lives. */
  tethers = 0;
  pings = 0;
  /** What its /health says. */
  ready = true;
  level = true;
  /** It has said that it stops. */
  stopping = false;
  /** What becomes of it when it is asked to restart itself. */
  onRestart: () => void = () => undefined;
  restartsAsked = 0;
  private server: Server | undefined;
  private nats: NatsConnection | undefined;
  private beats: NodeJS.Timeout | undefined;
  private seq = 0;
  private port = 0;
  private frozen = false;
  private readonly sockets = new Set<Socket>();
  private readonly held = new Set<() => void>();

  constructor(private readonly options: VoterOptions) {
    this.id = options.id;
  }

  get up(): boolean {
    return this.server !== undefined;
  }

  /** How many heartbeats it has sent since it started. */
  get beatsSent(): number {
    return this.seq;
  }

  get address(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    this.incarnation++;
    this.seq = 0;
    this.stopping = false;
    this.port ||= await freePort();
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => this.hold(() => this.answer(request.url ?? '', body, response)));
    });
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => this.sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.server = server;
    const { nats } = this.options;
    if (nats) {
      this.nats = signing(
        await connect({ port: nats.port, user: nats.user, pass: nats.password, maxReconnectAttempts: -1 }),
        'a-secret-of-the-cluster',
      );
      this.nats.subscribe(`election.poll.${this.id}`, {
        callback: (_error, message) => this.hold(() => this.answerOnBus(message)),
      });
      this.nats.subscribe('leader.elected', {
        callback: (_error, message) => {
          const { leaderId, term } = message.json<{ leaderId: string; term: number }>();
          this.leads = leaderId === this.id;
          this.term = term;
        },
      });
    }
    this.beats = setInterval(() => this.beat(), 500);
    this.beat();
    return this;
  }

  /** Sockets closed, nobody listens: kill -9. */
  async crash(): Promise<void> {
    clearInterval(this.beats);
    this.leads = false;
    const { server } = this;
    this.server = undefined;
    const closed = new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
    for (const socket of this.sockets) socket.destroy();
    await Promise.all([closed, this.nats?.close()]);
  }

  /** Nothing is answered and nothing said, while every connection stays open: SIGSTOP. */
  freeze(): void {
    this.frozen = true;
  }

  thaw(): void {
    this.frozen = false;
    for (const release of this.held) release();
    this.held.clear();
  }

  private hold(task: () => void): void {
    if (this.frozen) this.held.add(task);
    else task();
  }

  private beat(): void {
    if (this.frozen || !this.nats || this.nats.isClosed()) return;
    this.nats.publish(
      'node.heartbeat',
      JSON.stringify({
        ...{ nodeId: this.id, incarnation: this.incarnation, seq: ++this.seq, kind: 'config-node' },
        ...{
          role: this.role,
          address: this.address,
          term: this.term,
          version: this.version,
          condition: this.stopping ? 'stopping' : 'ok',
        },
        fenceConfirmedAgoMs: this.fence,
      }),
    );
  }

  private get role(): 'leader' | 'follower' {
    return this.leads ? 'leader' : 'follower';
  }

  private get fence(): number | null {
    return this.leads ? (this.fenceConfirmedAgoMs ?? 10) : null;
  }

  private poll(): PollReply {
    this.polls++;
    return {
      ...{ nodeId: this.id, incarnation: this.incarnation, address: this.address, term: this.term },
      ...{ eligible: this.eligible, reason: this.eligible ? null : this.unfit, healthy: true },
      ...{ version: this.version, chain: this.chain, priority: this.options.priority ?? 100 },
    };
  }

  private answerOnBus(message: Msg): void {
    if (!this.refusesOnBus) {
      message.respond(JSON.stringify(this.poll()));
      return;
    }
    const refusal = headers();
    refusal.set('Nats-Service-Error-Code', '500');
    refusal.set('Nats-Service-Error', 'internal');
    message.respond('', { headers: refusal });
  }

  private answer(url: string, _body: string, response: ServerResponse): void {
    const json = (body: unknown) =>
      response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    if (url === '/health') {
      response.statusCode = this.ready ? 200 : 503;
      const checks = { replica: { ok: this.level } };
      json({ status: this.ready ? 'ready' : 'not-ready', checks });
    } else if (url === '/restart') {
      this.restartsAsked++;
      response.statusCode = 202;
      json({ restarting: true });
      this.stopping = true;
      this.beat();
      setImmediate(this.onRestart);
    } else if (url === '/internal/tether') {
      this.tethers++;
      response.on('close', () => {
        this.tethers--;
      });
      response.writeHead(200).write('\n');
    } else if (url === '/internal/poll') {
      json(this.poll());
    } else if (url === '/internal/handover') {
      this.pauses++;
      const drained = () => json({ term: this.term, version: this.version, chain: this.chain });
      setTimeout(drained, this.drainMs);
    } else {
      this.pings++;
      json({
        ...{ nodeId: this.id, incarnation: this.incarnation, role: this.role, term: this.term },
        ...{ version: this.version, fenceConfirmedAgoMs: this.fence, stopping: this.stopping },
      });
    }
  }
}

type Until = (what: string, done: () => boolean) => Promise<void>;

/** Until each of `instances` holds a connection to every voter that is up, and has then pinged it twice. */
export async function untilWatched(voters: readonly Voter[], instances: number, until: Until): Promise<void> {
  const watched = voters.filter(({ up }) => up);
  await until('connections to all voters', () => watched.every(({ tethers }) => tethers >= instances));
  const before = new Map(watched.map(({ id, pings }) => [id, pings]));
  await until('pings of all voters', () =>
    watched.every(({ id, pings }) => pings - (before.get(id) ?? 0) >= 2 * instances),
  );
}

/** Until every voter that is up has sent three more heartbeats: only then does silence count against one of them. */
export async function untilHeard(voters: readonly Voter[], until: Until): Promise<void> {
  const before = new Map(voters.map(({ id, beatsSent }) => [id, beatsSent]));
  await until('three heartbeats of each', () =>
    voters.every(({ id, up, beatsSent }) => !up || beatsSent - (before.get(id) ?? 0) >= 3),
  );
}
