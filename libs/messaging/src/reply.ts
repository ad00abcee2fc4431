import { errors, type Msg } from '@nats-io/transport-node';
import type { ZodType } from 'zod';
import { REQUESTS, type ReplyPayload, type RequestSubject } from '#libs/contracts';
import { BusError } from './bus-error.js';
import { INBOX_PREFIX } from './connection.js';
import { decodeJson, decodeProblem, WIRE_HEADERS } from './wire.js';

/** The reply that a message carries; throws the Problem that it carries instead, or BusError `invalid`. */
export function readReply<S extends RequestSubject>(subject: S, message: Msg): ReplyPayload<S> {
  const errorCode = message.headers?.get(WIRE_HEADERS.errorCode);
  if (errorCode) {
    throw decodeProblem(errorCode, message.headers?.get(WIRE_HEADERS.error) ?? '', message.data);
  }
  const decoded = decodeJson(message.data);
  const schema: ZodType = REQUESTS[subject].reply;
  const result = decoded.ok ? schema.safeParse(decoded.value) : undefined;
  if (!result?.success) throw new BusError('invalid', subject, { cause: result?.error });
  return result.data as ReplyPayload<S>;
}

/**
 * Whether replies to the speaker's requests may go to the subject. The server lets a user name any subject for the reply, and
 * the reply is published with the rights of the process that answers: to JetStream's API it would be an order.
 */
export function isInboxOf(speaker: 'cluster' | 'member', subject: string): boolean {
  return subject.startsWith('_INBOX.') || (speaker === 'cluster' && subject.startsWith(`${INBOX_PREFIX}.`));
}

/** Why no reply came. */
export function busErrorFrom(error: unknown, subject: string, closed: boolean): BusError {
  if (error instanceof errors.TimeoutError) return new BusError('timeout', subject, { cause: error });
  const noResponders =
    error instanceof errors.NoRespondersError ||
    (error instanceof errors.RequestError && error.isNoResponders());
  if (noResponders) return new BusError('no-responders', subject, { cause: error });
  return new BusError(closed ? 'disconnected' : 'timeout', subject, { cause: error });
}
