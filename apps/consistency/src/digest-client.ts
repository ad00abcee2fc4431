import { Agent, request } from 'undici';
import type { ZodType } from 'zod';
import { RequestSigner } from '#libs/cluster-auth';
import {
  type ConsistencyReason,
  DIGEST_BUCKETS_BYTES,
  DIGEST_PARTS_BYTES,
  DigestKeysReply,
  DigestReply,
  HEADERS,
  Problem,
  RepairReply,
  type RepairRequest,
  ResyncReply,
} from '#libs/contracts';
import { crashOnDefect } from '#libs/kernel';
import { partOf } from '#libs/replica';
import type { ListedKey } from './domain/comparison/classification.js';
import type { Pin } from './domain/comparison/pin.js';
import type { RootAnswer } from './domain/comparison/root-comparison.js';
import type { Place } from './domain/place.js';

const JSON_BODY = { 'content-type': 'application/json' };
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

interface CallOptions {
  timeoutMs: number;
  body?: string;
}

/** What the consistency service asks of nodes over HTTP. Digests: never rejects; an answer that is none is a reason. */
export class DigestClient {
  private readonly agent = new Agent({
    connections: 4,
    pipelining: 1,
    connect: { timeout: 1_000 },
    maxResponseSize: MAX_ANSWER_BYTES,
  });
  /** Of answers, for the bench and the metrics. */
  receivedBytes = 0;

  private readonly signer: RequestSigner;

  constructor(clusterKey: string) {
    this.signer = new RequestSigner(clusterKey);
  }

  async root(address: string, pin: Pin, waitMs: number, timeoutMs: number): Promise<RootAnswer> {
    const url = `${address}/internal/digest?version=${pin.version}&waitMs=${waitMs}`;
    try {
      const reply = await this.json(url, DigestReply, { timeoutMs: timeoutMs + waitMs });
      const { format, version, chain, hash, damagedBuckets } = reply;
      return { known: true, format, version, chain, hash, damagedBuckets };
    } catch (error) {
      crashOnDefect(error);
      return { known: false, reason: reasonOf(error) };
    }
  }

  /** Undefined: not to be had, or not of that version and history. */
  buckets(address: string, pin: Pin, timeoutMs: number): Promise<Buffer | undefined> {
    const path = `/internal/digest/buckets?version=${pin.version}`;
    return this.digests(address, path, pin, DIGEST_BUCKETS_BYTES, timeoutMs);
  }

  private async digests(
    address: string,
    path: string,
    pin: Pin,
    sizeBytes: number,
    timeoutMs: number,
  ): Promise<Buffer | undefined> {
    try {
      const { body, headers } = await this.call(`${address}${path}`, { timeoutMs });
      const isOfPin =
        headers[HEADERS.version] === String(pin.version) && headers[HEADERS.chain] === pin.chain;
      return isOfPin && body.length === sizeBytes ? body : undefined;
    } catch (error) {
      crashOnDefect(error);
      return undefined; // the round says `undecided`, and the next one asks again
    }
  }

  /** Undefined also of a node that knows no parts. */
  parts(address: string, pin: Pin, bucket: number, timeoutMs: number): Promise<Buffer | undefined> {
    const path = `/internal/digest/parts?bucket=${bucket}&version=${pin.version}`;
    return this.digests(address, path, pin, DIGEST_PARTS_BYTES, timeoutMs);
  }

  /** Of the whole bucket, or of one part of it. */
  async keys(
    address: string,
    pin: Pin,
    { bucket, part }: Place,
    timeoutMs: number,
  ): Promise<ListedKey[] | undefined> {
    const asked = part === null ? '' : `&part=${part}`;
    const url = `${address}/internal/digest/keys?bucket=${bucket}&version=${pin.version}${asked}`;
    try {
      const { entries, truncated } = await this.json(url, DigestKeysReply, { timeoutMs });
      if (truncated) return undefined;
      return entries.filter(({ namespace, key }) => part === null || partOf(namespace, key) === part);
    } catch (error) {
      crashOnDefect(error);
      return undefined; // the round says `undecided`, and the next one asks again
    }
  }

  repair(address: string, repair: RepairRequest, timeoutMs: number): Promise<RepairReply> {
    return this.json(`${address}/internal/repair`, RepairReply, { timeoutMs, body: JSON.stringify(repair) });
  }

  resync(address: string, why: string, timeoutMs: number): Promise<ResyncReply> {
    return this.json(`${address}/internal/resync`, ResyncReply, { timeoutMs, body: JSON.stringify({ why }) });
  }

  close(): Promise<void> {
    return this.agent.destroy();
  }

  private async json<T>(url: string, schema: ZodType<T>, asked: CallOptions): Promise<T> {
    const { body } = await this.call(url, asked);
    return schema.parse(JSON.parse(body.toString()));
  }

  private async call(url: string, { timeoutMs, body }: CallOptions) {
    const method = body === undefined ? 'GET' : 'POST';
    const response = await request(url, {
      method,
      ...(body === undefined ? {} : { body }),
      dispatcher: this.agent,
      signal: AbortSignal.timeout(timeoutMs),
      headers: this.signer.signedHeaders(url, { method, headers: JSON_BODY, body }),
    }).catch((cause: unknown) => {
      throw new Unreachable('no answer', { cause });
    });
    const bytes = await response.body.arrayBuffer().catch((cause: unknown) => {
      throw new Unreachable('half an answer', { cause });
    });
    this.receivedBytes += bytes.byteLength;
    const answer = Buffer.from(bytes);
    if (response.statusCode === 200) return { body: answer, headers: response.headers };
    throw problemOf(answer) ?? new Error(`status ${response.statusCode}`);
  }
}

class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

function problemOf(body: Buffer): Problem | undefined {
  try {
    return Problem.fromBody(JSON.parse(body.toString()));
  } catch {
    return undefined; // not JSON: the status says enough
  }
}

function reasonOf(error: unknown): ConsistencyReason {
  if (error instanceof Unreachable) return 'unreachable';
  if (error instanceof Problem && error.code === 'version-not-reached') return 'not-reached';
  if (error instanceof Problem && error.code === 'version-compacted') return 'forgotten';
  return 'refused';
}
