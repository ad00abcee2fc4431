import type { FastifyReply } from 'fastify';
import { Problem } from '#libs/contracts';
import { Admission } from '#libs/service';
import type { ReplicaHost } from '../replica/replica-host.js';
import { sendJsonText } from './answers.js';
import { encodeInSlices } from './sliced-json.js';

/** Answers up to this size are encoded at once: they take a millisecond or less. */
const LIGHT = { bytes: 64 * 1024, items: 200 };
/**
 * One heavy answer is encoded at a time: it is work of the event loop, which several at once would only make later,
 * all of them. A page of 4 MiB takes some 40 ms of it.
 */
const ENCODING = { atOnce: 1, waiting: 32, waitMs: 3_000, refusal: 'too many large answers are asked for' };
/** Encoded answers that clients have not read yet. */
const MAX_UNREAD_BYTES = 64 * 1024 * 1024;
/** A client that reads nothing of its answer for so long is cut. */
const STALLED_FOR_MS = 30_000;

/** How much an answer holds before it is encoded. */
export interface AnswerSize {
  bytes: number;
  items: number;
}

/** Sends answers that may be large, so that neither their encoding nor their number keeps the node from other work. */
export class HeavyAnswers {
  private readonly encoding = new Admission(ENCODING);
  private unreadBytes = 0;

  constructor(private readonly host: ReplicaHost) {}

  /** Throws 429 `cluster-busy` when too many large answers are under way. `pieces` is called when it is their turn. */
  async send(reply: FastifyReply, size: AnswerSize, pieces: () => Iterable<string>): Promise<FastifyReply> {
    if (size.bytes <= LIGHT.bytes && size.items <= LIGHT.items) {
      return sendJsonText(reply, this.host, [...pieces()].join(''));
    }
    if (this.unreadBytes + size.bytes > MAX_UNREAD_BYTES) {
      throw new Problem('cluster-busy', 'too many large answers wait for their clients to read them');
    }
    const text = await this.encoding.execute(async () => {
      if (reply.raw.destroyed) throw new Problem('cluster-busy', 'the client has left');
      return encodeInSlices(pieces());
    });
    this.holdUntilRead(reply, text.length);
    return sendJsonText(reply, this.host, text);
  }

  private holdUntilRead({ raw }: FastifyReply, bytes: number): void {
    if (raw.destroyed) return;
    this.unreadBytes += bytes;
    raw.once('close', () => {
      this.unreadBytes -= bytes;
    });
    raw.setTimeout(STALLED_FOR_MS, () => raw.destroy());
  }
}
