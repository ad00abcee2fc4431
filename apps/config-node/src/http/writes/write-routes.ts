import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import {
  type ChangeSetResult,
  type DeleteResult,
  HEADERS,
  LIMITS,
  Problem,
  type PutResult,
  parseContentType,
} from '#libs/contracts';
import { crashOnDefect } from '#libs/kernel';
import type { Entry } from '#libs/replica';
import { Admission } from '#libs/service';
import type { WriteOutcome } from '../../domain/commit/write.js';
import type { KeyAddress } from '../../domain/log.types.js';
import { readHeaders } from '../answers.js';
import type { PublicApiDeps } from '../public-api.deps.js';
import type { PastValues } from '../reads/past-values.js';
import { unsupportedType } from '../request/change-set.js';
import { demandCharset } from '../request/charset.js';
import { entityTag } from '../request/entity-tag.js';
import { demandOneIdempotencyKey, idempotencyKey, versionHeader } from '../request/text-header.js';
import { systemRefusal } from '../values/formats/system-value.js';
import type { ValueWorkers } from '../values/value-workers.js';
import { publishProblem } from './publish-problem.js';
import type { WriteForwarder } from './write-forwarder.js';
import {
  type Arrived,
  changeSetWrite,
  deleteWrite,
  type ParsedWrite,
  putWrite,
  rollbackWrite,
} from './write-request.js';

/** How long a write may wait for its turn and its commit. */
const WRITE_MS = 5_000;
/** Values of a change set that are checked at once. */
const CHECKED_AT_ONCE = 16;
const SMALL_BODY_BYTES = 16 * 1024;
/** Larger bodies of change sets are parsed one at a time: each takes some 30 ms of the event loop, in slices. */
const LARGE_BODY_BYTES = 256 * 1024;
const PARSING = {
  atOnce: 1,
  waiting: 32,
  waitMs: 3_000,
  refusal: 'too many large change sets arrive at once',
};
const EMPTY = Buffer.alloc(0);

/** PUT, DELETE, POST of changes: read, judged, and handed to the publisher, by the leader alone. */
export function registerWriteRoutes(
  fastify: FastifyInstance,
  deps: PublicApiDeps,
  past: PastValues,
  workers: ValueWorkers,
  forwarder: WriteForwarder,
): void {
  const { host, leadership, publisher, guard, clock, logger } = deps;
  const currentVersion = ({ namespace, key }: KeyAddress) => host.replica.get(namespace, key)?.version;
  const parsing = new Admission(PARSING);
  const value = { bodyLimit: LIMITS.valueBytes, onRequest: [demandOneKey, demandValueType, demandLeader] };

  const put = async (request: FastifyRequest, reply: FastifyReply) => {
    return publish(
      request,
      reply,
      async () => putWrite(arrived(request), currentVersion),
      (outcome) => sendPut(reply, outcome, outcome.created[0] ? 201 : 200),
    );
  };
  fastify.put('/v1/namespaces/:ns/configs/*', value, put);
  fastify.put('/v1/namespaces/:ns/configs', value, put);

  const remove = async (request: FastifyRequest, reply: FastifyReply) => {
    const read = async () => deleteWrite(arrived(request), currentVersion);
    return publish(request, reply, read, (outcome) => {
      const [operation] = outcome.operations;
      if (operation === undefined) throw missing();
      const { namespace, key } = operation;
      const { version, term, createdAt } = outcome;
      return send(reply, 200, { namespace, key, version, term, createdAt } satisfies DeleteResult);
    });
  };
  const bare = { bodyLimit: SMALL_BODY_BYTES, onRequest: [demandOneKey, demandLeader] };
  fastify.delete('/v1/namespaces/:ns/configs/*', bare, remove);
  fastify.delete('/v1/namespaces/:ns/configs', bare, remove);

  fastify.post(
    '/v1/changes',
    { bodyLimit: LIMITS.changeSetBodyBytes, onRequest: [demandOneKey, demandJson, demandLeader] },
    async (request, reply) => {
      const read = () => changeSetWrite(arrived(request));
      return publish(
        request,
        reply,
        () => (arrived(request).body.length <= LARGE_BODY_BYTES ? read() : parsing.execute(read)),
        ({ version, term, createdAt, operations }) => {
          const results = operations.map(({ namespace, key, op }) => ({ namespace, key, op, version }));
          return send(reply, 200, { version, term, createdAt, results } satisfies ChangeSetResult);
        },
      );
    },
  );

  const rollback = async (request: FastifyRequest, reply: FastifyReply) => {
    const read = async () => {
      const { address, toVersion, write } = await rollbackWrite(arrived(request), currentVersion);
      return write(await oldValue(address, toVersion));
    };
    return publish(request, reply, read, (outcome) => sendPut(reply, outcome, 200));
  };
  const json = { bodyLimit: SMALL_BODY_BYTES, onRequest: [demandOneKey, demandJson, demandLeader] };
  fastify.post('/v1/namespaces/:ns/rollback/*', json, rollback);
  fastify.post('/v1/namespaces/:ns/rollback', json, rollback);

  /** What a rollback brings back, or why it cannot: a repeat of one that was done is answered all the same. */
  async function oldValue(address: KeyAddress, toVersion: number): Promise<Entry | Problem> {
    try {
      const old = toVersion <= host.replica.version ? await past.at(address, toVersion) : undefined;
      if (old !== undefined) return old;
      const detail = `'${address.key}' had no value at version ${toVersion}`;
      return new Problem('version-not-found', detail, { ...address });
    } catch (error) {
      if (error instanceof Problem) return error;
      throw error;
    }
  }

  /** Answers with the write's outcome, or by passing on the leader's own answer. */
  async function publish(
    request: FastifyRequest,
    reply: FastifyReply,
    read: () => Promise<ParsedWrite>,
    answer: (outcome: WriteOutcome) => FastifyReply,
  ): Promise<FastifyReply> {
    const deadlineMs = clock.monotonicMs() + WRITE_MS;
    if (await elsewhere(request, reply)) return reply;
    const key = idempotencyKey(request.headers[HEADERS.idempotencyKey]);
    const { keyIsFresh, aimTerm } = attemptOf(request);
    const write = await read();
    const refusal = write.refusal ?? (await refusalOf(write));
    // With a key that may stand for a write that happened, a refusal has to wait for the look-up of the key.
    if (refusal !== undefined && (key === null || keyIsFresh)) throw refusal;
    try {
      const outcome = await publisher.submit({
        kind: write.kind,
        idempotencyKey: key,
        requestHash: key === null ? null : write.hash,
        keyIsFresh,
        aimTerm,
        author: write.author,
        comment: write.comment,
        operations: write.operations,
        refusal,
        deadlineMs,
        signal: whenLeft(reply),
      });
      return answer(outcome);
    } catch (error) {
      crashOnDefect(error);
      if (!(error instanceof Problem))
        logger.error({ error, requestId: request.id }, 'publish failed unexpectedly');
      throw publishProblem(error, write);
    }
  }

  /** Before the body is read: 421 of a node that neither leads nor is to send the write on. */
  async function demandLeader(request: FastifyRequest): Promise<void> {
    if (!publisher.isLeading) leaderToForwardTo(request);
  }

  /** Answers for a node that does not lead by the leader's answer, or throws 421. */
  async function elsewhere(request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
    if (publisher.isLeading) return false;
    await forwarder.forward(request, arrived(request).body, reply, leaderToForwardTo(request));
    return true;
  }

  /** The leader's address, when the request asks to be sent on; else throws 421. */
  function leaderToForwardTo(request: FastifyRequest): string {
    const leader = leadership.leader?.address ?? null;
    const mayForward =
      request.headers[HEADERS.forward] === '1' && request.headers[HEADERS.forwarded] === undefined;
    if (!mayForward || leader === null || !guard.isMember(request.raw)) {
      throw new Problem('not-leader', 'writes go to the leader', {
        leader,
        leaderTerm: leadership.leader?.term ?? null,
      });
    }
    return leader;
  }

  /** What gateways say of an attempt; of anybody else it would only be a claim. */
  function attemptOf(request: FastifyRequest): { keyIsFresh: boolean; aimTerm: number | null } {
    const { [HEADERS.attempt]: attempt, [HEADERS.aimTerm]: aim } = request.headers;
    if ((attempt === undefined && aim === undefined) || !guard.isMember(request.raw)) {
      return { keyIsFresh: false, aimTerm: null };
    }
    return {
      keyIsFresh: attempt === '1',
      aimTerm: aim === undefined ? null : versionHeader('Holdfast-Aim-Term', aim),
    };
  }

  /** The bytes as they came, and whether an operator sent them. */
  function arrived(request: FastifyRequest): Arrived {
    const { url, headers, body } = request;
    const operator = headers[HEADERS.operator] === '1' && guard.isMember(request.raw);
    return { url, headers, body: Buffer.isBuffer(body) ? body : EMPTY, operator };
  }

  /** What the values are found guilty of, in their order. */
  async function refusalOf({ kind, operations }: ParsedWrite): Promise<Problem | undefined> {
    if (kind === 'delete') return undefined;
    try {
      for (let from = 0; from < operations.length; from += CHECKED_AT_ONCE) {
        const checks = operations.slice(from, from + CHECKED_AT_ONCE).map(async (operation, index) => {
          if (operation.op === 'delete') return;
          const { namespace, key, contentType } = operation;
          const where = kind === 'change-set' ? { operation: from + index, namespace, key } : {};
          // What a rollback brings back was checked when it was put, but what Holdfast reads itself may have changed.
          if (kind !== 'rollback') await workers.check(contentType, operation.value, where);
          const refusal = systemRefusal(operation, where);
          if (refusal !== undefined) throw refusal;
        });
        const failed = (await Promise.allSettled(checks)).find((check) => check.status === 'rejected');
        if (failed !== undefined) throw failed.reason;
      }
      return undefined;
    } catch (error) {
      if (error instanceof Problem) return error;
      throw error;
    }
  }

  function sendPut(reply: FastifyReply, outcome: WriteOutcome, status: number): FastifyReply {
    const operation = outcome.operations[0];
    if (operation?.op !== 'put') throw missing();
    const { namespace, key, checksum } = operation;
    const { version, term, createdAt } = outcome;
    reply.header('etag', entityTag(version));
    return send(reply, status, { namespace, key, version, term, checksum, createdAt } satisfies PutResult);
  }

  function send(reply: FastifyReply, status: number, body: unknown): FastifyReply {
    return reply
      .code(status)
      .headers({ ...readHeaders(host), 'content-type': 'application/json; charset=utf-8' })
      .send(JSON.stringify(body));
  }
}

async function demandOneKey({ raw }: FastifyRequest): Promise<void> {
  demandOneIdempotencyKey(raw.rawHeaders);
}

/** Before the body is read: 415 for what no value can be, and for bytes that are not the value itself. */
async function demandValueType({ headers }: FastifyRequest): Promise<void> {
  const type = parseContentType(headers['content-type']);
  if (type === undefined) throw unsupportedType(headers['content-type']);
  demandCharset(type, headers['content-type']);
  demandIdentity(headers['content-encoding']);
}

async function demandJson({ headers }: FastifyRequest): Promise<void> {
  const type = headers['content-type'] ?? '';
  if (type.split(';', 1)[0]?.trim().toLowerCase() !== 'application/json') {
    throw new Problem('unsupported-content-type', 'the body must be application/json', {
      supported: ['application/json'],
    });
  }
  demandIdentity(headers['content-encoding']);
}

function demandIdentity(encoding: string | undefined): void {
  if (encoding === undefined || encoding.toLowerCase() === 'identity') return;
  throw new Problem('unsupported-content-type', 'the body must not be encoded', { supported: ['identity'] });
}

/** Aborts when the client leaves before it was answered. */
function whenLeft(reply: FastifyReply): AbortSignal {
  const left = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) left.abort(new Problem('outcome-unknown', 'the client has left'));
  });
  return left.signal;
}

function missing(): Error {
  return new Error('the outcome of a write lacks its operation');
}
