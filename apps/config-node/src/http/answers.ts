import { isUtf8 } from 'node:buffer';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { accepts, contentTypeHeader, HEADERS, Problem } from '#libs/contracts';
import type { Entry } from '#libs/replica';
import type { ReplicaHost } from '../replica/replica-host.js';
import { entityTag } from './request/entity-tag.js';

const JSON_TYPE = 'application/json; charset=utf-8';

/** Which node answers, and where it stands. */
export function readHeaders(host: ReplicaHost): Record<string, string> {
  const headers: Record<string, string> = {
    [HEADERS.node]: host.nodeId,
    [HEADERS.version]: String(host.replica.version),
    [HEADERS.term]: String(host.term),
  };
  if (host.isStale()) headers[HEADERS.stale] = 'true';
  return headers;
}

/** Throws 406 when the client takes no JSON. */
export function demandJsonAccepted(request: FastifyRequest): void {
  if (accepts(request.headers.accept, 'application/json')) return;
  throw new Problem('not-acceptable', 'the answer is application/json', { available: ['application/json'] });
}

export function sendJson(reply: FastifyReply, host: ReplicaHost, body: unknown): FastifyReply {
  return sendJsonText(reply, host, JSON.stringify(body));
}

/** JSON that is encoded already. */
export function sendJsonText(reply: FastifyReply, host: ReplicaHost, text: string | Buffer): FastifyReply {
  return reply
    .headers({ ...readHeaders(host), 'cache-control': 'no-cache', 'content-type': JSON_TYPE })
    .send(text);
}

/** What stands at a key, as it is returned: byte for byte. */
export function sendEntry(
  reply: FastifyReply,
  host: ReplicaHost,
  entry: Pick<Entry, 'value' | 'contentType' | 'version'>,
): FastifyReply {
  return reply
    .headers({
      ...readHeaders(host),
      etag: entityTag(entry.version),
      'cache-control': 'no-cache',
      'content-type': contentTypeHeader(entry.contentType, isUtf8(entry.value)),
    })
    .send(entry.value);
}

export function sendNotModified(reply: FastifyReply, host: ReplicaHost, version: number): FastifyReply {
  return reply
    .code(304)
    .headers({ ...readHeaders(host), etag: entityTag(version), 'cache-control': 'no-cache' })
    .send();
}
