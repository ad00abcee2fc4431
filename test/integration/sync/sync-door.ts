import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  CatchUpRequest,
  CHANGE_FRAMES_TYPE,
  changeFromWire,
  decodeChanges,
  SyncRequest,
} from '#libs/contracts';
import { Replica } from '#libs/replica';

interface Refusal {
  status: number;
  headers?: Record<string, string>;
}

/** A node's doors for the sync service, with a real replica behind them. */
export class SyncDoor {
  replica = new Replica();
  /** Each batch that was tried, with what the node held then; and the changes in each one that was taken. */
  readonly tried: { changes: number; from: number; held: number; at: number }[] = [];
  readonly batches: number[] = [];
  readonly told: CatchUpRequest[] = [];
  /** Answers of `/sync` before it takes anything. */
  refusals: Refusal[] = [];
  incarnation = 1;
  /** As a node of the release before does not. */
  knowsFrames = true;
  framesRefused = 0;
  mostUnderWay = 0;
  private underWay = 0;
  private server: Server | undefined;
  private beats: NodeJS.Timeout | undefined;
  private seq = 0;

  constructor(
    readonly id: string,
    private readonly bus: NatsConnection,
  ) {}

  async start(): Promise<this> {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => this.answer(request, Buffer.concat(chunks), response));
    });
    await new Promise<void>((resolve) => this.server?.listen(0, '127.0.0.1', resolve));
    this.beats = setInterval(() => this.beat(), 200);
    this.beat();
    return this;
  }

  async stop(): Promise<void> {
    clearInterval(this.beats);
    this.server?.closeAllConnections();
    await new Promise((resolve) => this.server?.close(resolve));
  }

  private answer({ url, headers }: IncomingMessage, body: Buffer, response: ServerResponse): void {
    const json = (status: number, answer: unknown, more: Record<string, string> = {}) =>
      response.writeHead(status, { 'content-type': 'application/json', ...more }).end(JSON.stringify(answer));
    const standing = () => ({ version: this.replica.version, chain: this.replica.chain });
    if (url === '/internal/catch-up') {
      this.told.push(CatchUpRequest.parse(JSON.parse(body.toString())));
      json(200, { ...standing(), entries: 7 });
      return;
    }
    if (url !== '/sync') {
      json(404, {});
      return;
    }
    const framed = headers['content-type'] === CHANGE_FRAMES_TYPE;
    if (framed && !this.knowsFrames) {
      this.framesRefused += 1;
      json(415, {});
      return;
    }
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
    const changes = framed
      ? decodeChanges(body)
      : SyncRequest.parse(JSON.parse(body.toString())).changes.map(changeFromWire);
    const { version: held } = this.replica;
    this.tried.push({ changes: changes.length, from: changes[0]?.version ?? 0, held, at: performance.now() });
    const refusal = this.refusals.shift();
    this.underWay--;
    if (refusal !== undefined) {
      json(refusal.status, { detail: 'not now' }, refusal.headers);
      return;
    }
    this.batches.push(changes.length);
    for (const change of changes) this.replica.apply(change);
    json(200, standing());
  }

  private beat(): void {
    const address = this.server?.address();
    if (!address || typeof address === 'string') return;
    const { version, chain } = this.replica;
    const beat = { nodeId: this.id, incarnation: this.incarnation, seq: ++this.seq, kind: 'config-node' };
    const where = { version, chain, address: `http://127.0.0.1:${address.port}` };
    this.bus.publish('node.heartbeat', JSON.stringify({ ...beat, ...where }));
  }
}
