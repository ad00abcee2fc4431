import { Problem } from '#libs/contracts';
import { type Clock, crashOnDefect } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import type { WriteOperation, WriteOutcome } from '../domain/commit/write.js';
import type { WriteKind } from '../domain/log.types.js';
import { publishProblem } from './publish-problem.js';
import type { Publisher } from './publisher.js';

/** How long a write may wait for its turn and its commit. */
const WRITE_MS = 5_000;

/** What a request wants written. */
export interface IncomingWrite {
  kind: WriteKind;
  comment: string | null;
  author: string | null;
  operations: WriteOperation[];
  /** What makes a request with an idempotency key the same request. */
  hash: Buffer;
  /** Why it cannot be done, unless its idempotency key stands for a write that was done. */
  refusal?: Problem | undefined;
}

/** What gateways say of an attempt. */
export interface WriteAttemptClaim {
  /** The first attempt with a key that the gateway made: nobody can have used the key before. */
  keyIsFresh: boolean;
  /** The term whose leader the attempt is meant for. */
  aimTerm: number | null;
}

const NO_CLAIM: WriteAttemptClaim = { keyIsFresh: false, aimTerm: null };

/** Who sends a write, and what it says of it. */
export interface WriteSender {
  requestId: string;
  /** Whether the request proves that it is from a process of the cluster: of anybody else the following would only be claims. */
  isMember: () => boolean;
  /** It is to be sent on to the leader by a node that does not lead. */
  forward: boolean;
  /** A node has sent it on already. */
  forwarded: boolean;
  /** What it says of the attempt, if anything; read of members only. */
  attempt?: (() => WriteAttemptClaim) | undefined;
  idempotencyKey: () => string | null;
  /** Aborts when the client leaves before it was answered. */
  signal: () => AbortSignal;
}

export interface WriteIntakeParts {
  publisher: Pick<Publisher, 'isLeading' | 'submit'>;
  leader: () => { address: string | null; term: number } | null;
  clock: Clock;
  logger: Logger;
}

/**
 * Decides which node answers a write, which claims of the sender are trusted, and which outcome the client receives. The HTTP
 * routes and the transport of the simulator both call it.
 */
export class WriteIntake {
  constructor(private readonly parts: WriteIntakeParts) {}

  /** Undefined when this node leads, else the leader's address for a write to be sent on to; throws 421 `not-leader`. */
  leaderElsewhere(sender: WriteSender): string | undefined {
    if (this.parts.publisher.isLeading) return undefined;
    const leader = this.parts.leader();
    const address = leader?.address ?? null;
    const mayForward = sender.forward && !sender.forwarded;
    if (mayForward && address !== null && sender.isMember()) return address;
    throw new Problem('not-leader', 'writes go to the leader', {
      leader: address,
      leaderTerm: leader?.term ?? null,
    });
  }

  /**
   * Publishes what `read` gives. Rejects with a Problem: 504 `outcome-unknown` when the write may have happened, anything
   * else when it has not and will not.
   */
  async publish(sender: WriteSender, read: () => Promise<IncomingWrite>): Promise<WriteOutcome> {
    const { publisher, clock, logger } = this.parts;
    const deadlineMs = clock.monotonicMs() + WRITE_MS;
    const key = sender.idempotencyKey();
    const { keyIsFresh, aimTerm } = sender.attempt && sender.isMember() ? sender.attempt() : NO_CLAIM;
    const write = await read();
    const { kind, author, comment, operations, refusal } = write;
    // With a key that may stand for a write that happened, a refusal has to wait for the look-up of the key.
    if (refusal !== undefined && (key === null || keyIsFresh)) throw refusal;
    try {
      return await publisher.submit({
        kind,
        idempotencyKey: key,
        requestHash: key === null ? null : write.hash,
        keyIsFresh,
        aimTerm,
        author,
        comment,
        operations,
        refusal,
        deadlineMs,
        signal: sender.signal(),
      });
    } catch (error) {
      crashOnDefect(error);
      const { requestId } = sender;
      if (!(error instanceof Problem)) logger.error({ error, requestId }, 'publish failed unexpectedly');
      throw publishProblem(error, write);
    }
  }
}
