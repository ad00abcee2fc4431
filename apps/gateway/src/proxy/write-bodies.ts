import type { IncomingMessage, ServerResponse } from 'node:http';
import { hashInSlices, hashOf } from '#libs/cluster-auth';
import { missingBody, Problem } from '#libs/contracts';
import { crashOnDefect } from '#libs/kernel';
import { Admission } from '#libs/service';
import { bodyLimit } from '../domain/writes/write-limits.js';
import { Bodies, type BodyRead } from './body.js';
import { type Client, isGone, sendProblem } from './client.js';

/** Bodies that are still coming in, all together. */
const MAX_READING_BYTES = 128 * 1024 * 1024;
/**
 * Bodies above this size are read a few at a time, and two at a time are on their way through: each takes tens of
 * milliseconds of this event loop and of the leader's, which would else come all at once. The others wait unread.
 */
const LARGE_BYTES = 256 * 1024;
const MANY_LARGE = 'too many large bodies are sent at once';
const READING_LARGE = { atOnce: 8, waiting: 256, waitMs: 8_000, refusal: MANY_LARGE };
const SENDING_LARGE = { atOnce: 2, waiting: 8, waitMs: 8_000, refusal: MANY_LARGE };
/** A large body that has not come by then is not waited for: it keeps others from being read. */
const READING_WITHIN_MS = 20_000;
const EMPTY = Buffer.alloc(0);

type OnBody = (body: Buffer, hash: Buffer) => void;

/** Reads the bodies of writes and hands over those that are whole; the clients of others are told why not. */
export class WriteBodies {
  private readonly bodies = new Bodies(MAX_READING_BYTES);
  private readonly reading = new Admission(READING_LARGE);
  private readonly sending = new Admission(SENDING_LARGE);

  take(client: Client, arrived: OnBody): void {
    const limit = bodyLimit(client.req.method ?? '', client.req.url ?? '');
    const announced = Number(client.req.headers['content-length'] ?? Number.NaN);
    // One that is too large is refused before it waits for its turn.
    if (isLarge(client.req) && !(announced > limit))
      this.takeLarge(client, limit, arrived).catch((error) => refuse(client, error));
    else this.bodies.read(client.req, limit, (result) => handOver(client, result, hashOf, arrived));
  }

  /** A body that was read keeps its place among those that are read until it may be sent, so that no more are read than can go. */
  private takeLarge(client: Client, limit: number, arrived: OnBody): Promise<void> {
    return this.reading.execute(async () => {
      const result = await new Promise<BodyRead>((resolve) =>
        this.bodies.read(client.req, limit, resolve, {
          announced: announcedBytes(client.req),
          withinMs: READING_WITHIN_MS,
        }),
      );
      await this.sending.execute(async () => {
        const hash = result.read === 'whole' ? await hashInSlices(result.body) : undefined;
        const answered = once(client.res);
        handOver(client, result, () => hash ?? EMPTY, arrived);
        await answered;
      });
    });
  }
}

function handOver(client: Client, result: BodyRead, hash: (body: Buffer) => Buffer, arrived: OnBody): void {
  if (isGone(client)) return;
  const { req } = client;
  if (result.read === 'whole') {
    // Only here is it known how the client framed the body: undici frames what nodes get.
    const missing = req.method === 'PUT' ? missingBody(req.headers, result.body.length) : undefined;
    if (missing === undefined) arrived(result.body, hash(result.body));
    else sendProblem(client, missing);
  } else if (result.read !== 'broken') sendProblem(client, REFUSALS[result.read]());
}

const REFUSALS = {
  'too-large': () => new Problem('value-too-large', 'the body is larger than this request may have'),
  'no-room': () => new Problem('cluster-busy', 'too many writes are being sent to this gateway'),
  late: () => new Problem('request-timeout', `the body did not come within ${READING_WITHIN_MS / 1_000} s`),
};

/** A body that comes in chunks is as long as it likes. */
function isLarge({ headers }: IncomingMessage): boolean {
  const { 'content-length': announced, 'transfer-encoding': encoding } = headers;
  return announced === undefined ? encoding !== undefined : Number(announced) > LARGE_BYTES;
}

function announcedBytes({ headers }: IncomingMessage): number | undefined {
  const { 'content-length': announced } = headers;
  return announced === undefined ? undefined : Number(announced);
}

/** Resolves when the answer is over, or the client has gone. */
function once(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (response.destroyed || response.writableFinished) resolve();
    else response.once('close', () => resolve());
  });
}

function refuse(client: Client, error: unknown): void {
  crashOnDefect(error);
  if (!isGone(client))
    sendProblem(client, error instanceof Problem ? error : new Problem('internal', 'unexpected error'));
}
