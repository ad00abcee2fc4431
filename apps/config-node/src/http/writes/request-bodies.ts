import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { LIMITS, Problem } from '#libs/contracts';
import { Admission } from '#libs/service';

/** Bodies of writes that are being read or are not answered yet, all together. */
const MAX_KEPT_BYTES = 96 * 1024 * 1024;

/** Bodies above this size are read a few at a time: many at once would keep the event loop busy with copying. */
const LARGE_BYTES = 256 * 1024;
const READING = { atOnce: 4, waiting: 64, waitMs: 3_000, refusal: 'too many large bodies are sent at once' };
/** A body that has not come by then is not waited for: it keeps others from being read. */
const WITHIN_MS = 20_000;

interface Expected {
  /** As announced; undefined when the body comes in chunks. */
  bytes: number | undefined;
  limit: number;
  isLarge: boolean;
  kept: Kept;
}

interface Kept {
  bytes: number;
  over: boolean;
}

/**
 * Takes in the bodies of requests, each up to the limit of its route, and all of them together up to what a node has
 * memory for. Counted is what has come, not what was announced, from the first byte until the request is answered.
 */
export class RequestBodies {
  private readonly reading = new Admission(READING);
  private keptBytes = 0;
  private readonly kept = new WeakMap<IncomingMessage, Kept>();

  constructor(private readonly maxBytes = MAX_KEPT_BYTES) {}

  get bytes(): number {
    return this.keptBytes;
  }

  /** Before the body is read: what will be kept of it is released when the answer is over. */
  expect(request: IncomingMessage, response: ServerResponse): void {
    const kept: Kept = { bytes: 0, over: false };
    this.kept.set(request, kept);
    response.once('close', () => {
      kept.over = true;
      this.keptBytes -= kept.bytes;
      kept.bytes = 0;
    });
  }

  /** Throws 413 `value-too-large`, 429 `cluster-busy`, 408 `request-timeout`, or 400 for a body that breaks off. */
  async read({ raw, routeOptions }: FastifyRequest, payload: Readable): Promise<Buffer> {
    const limit = routeOptions.bodyLimit ?? LIMITS.changeSetBodyBytes;
    const announced = raw.headers['content-length'];
    const bytes = announced === undefined ? undefined : Number(announced);
    if (bytes !== undefined && bytes > limit) throw tooLarge(limit);
    const kept = this.kept.get(raw) ?? { bytes: 0, over: true };
    const isLarge = (bytes ?? limit) > LARGE_BYTES;
    const take = () => this.take(payload, { bytes, limit, kept, isLarge });
    return isLarge ? this.reading.execute(take) : take();
  }

  private take(payload: Readable, { bytes, limit, kept, isLarge }: Expected): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      const whole = bytes === undefined ? undefined : Buffer.allocUnsafe(bytes);
      let received = 0;
      const finish = (problem: Problem | undefined) => {
        clearTimeout(timer);
        payload.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken);
        if (problem === undefined) resolve(whole ?? Buffer.concat(chunks, received));
        else reject(problem);
      };
      const onData = (chunk: Buffer) => {
        if (received + chunk.length > (bytes ?? limit)) finish(tooLarge(limit));
        else if (!this.keep(kept, chunk.length)) {
          finish(new Problem('cluster-busy', 'too many writes are being sent to this node'));
        } else if (whole === undefined) chunks.push(chunk);
        else whole.set(chunk, received);
        received += chunk.length;
      };
      const onEnd = () => finish(received === (bytes ?? received) ? undefined : broken());
      const onBroken = () => finish(broken());
      const timer = isLarge ? setTimeout(() => finish(late()), WITHIN_MS) : undefined;
      payload.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken);
      // A client that left while it waited for its turn is not told of again.
      if (payload.destroyed) onBroken();
      else payload.resume();
    });
  }

  private keep(kept: Kept, bytes: number): boolean {
    if (kept.over) return true;
    if (this.keptBytes + bytes > this.maxBytes) return false;
    kept.bytes += bytes;
    this.keptBytes += bytes;
    return true;
  }
}

function tooLarge(limit: number): Problem {
  return new Problem(
    'value-too-large',
    `the body has more than the ${limit} bytes that this request may have`,
  );
}

function broken(): Problem {
  return new Problem('invalid-request', 'the body ends before it is whole');
}

function late(): Problem {
  return new Problem('request-timeout', `the body did not come within ${WITHIN_MS / 1_000} s`);
}
