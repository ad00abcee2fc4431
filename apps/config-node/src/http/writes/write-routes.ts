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
import type { Entry } from '#libs/replica';
import { Admission } from '#libs/service';
import { type IncomingWrite, WriteIntake, type WriteSender } from '../../commit/write-intake.js';
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
import type { WriteForwarder } from './write-forwarder.js';
import { type Arrived, changeSetWrite, deleteWrite, putWrite, rollbackWrite } from './write-request.js';

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

export interface WriteRoutesParts extends PublicApiDeps {
  past: PastValues;
  workers: ValueWorkers;
  forwarder: WriteForwarder;
}

/** PUT, DELETE, POST of changes: parsed, checked, and handed to the intake, or sent on to the leader. */
export class WriteRoutes {
  private readonly intake: WriteIntake;
  private readonly parsing = new Admission(PARSING);

  constructor(private readonly parts: WriteRoutesParts) {
    const { publisher, leadership, clock, logger } = parts;
    this.intake = new WriteIntake({ publisher, leader: () => leadership.leader, clock, logger });
  }

  register(fastify: FastifyInstance): void {
    /** Before the body is read: 421 of a node that neither leads nor is to send the write on. */
    const demandLeader = async (request: FastifyRequest, reply: FastifyReply) => {
      this.intake.leaderElsewhere(this.senderOf(request, reply));
    };
    const value = { bodyLimit: LIMITS.valueBytes, onRequest: [demandOneKey, demandValueType, demandLeader] };
    const bare = { bodyLimit: SMALL_BODY_BYTES, onRequest: [demandOneKey, demandLeader] };
    const json = { bodyLimit: SMALL_BODY_BYTES, onRequest: [demandOneKey, demandJson, demandLeader] };
    for (const key of ['', '/*']) {
      fastify.put(`/v1/namespaces/:ns/configs${key}`, value, (request, reply) => this.put(request, reply));
      fastify.delete(`/v1/namespaces/:ns/configs${key}`, bare, (request, reply) =>
        this.remove(request, reply),
      );
      fastify.post(`/v1/namespaces/:ns/rollback${key}`, json, (request, reply) =>
        this.rollback(request, reply),
      );
    }
    fastify.post('/v1/changes', { ...json, bodyLimit: LIMITS.changeSetBodyBytes }, (request, reply) =>
      this.changeSet(request, reply),
    );
  }

  private put(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const read = async () => putWrite(this.arrived(request), this.currentVersion);
    return this.publish(request, reply, read, (outcome) =>
      this.sendPut(reply, outcome, outcome.created[0] ? 201 : 200),
    );
  }

  private remove(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const read = async () => deleteWrite(this.arrived(request), this.currentVersion);
    return this.publish(request, reply, read, (outcome) => {
      const [operation] = outcome.operations;
      if (operation === undefined) throw missing();
      const { namespace, key } = operation;
      const { version, term, createdAt } = outcome;
      return this.send(reply, 200, { namespace, key, version, term, createdAt } satisfies DeleteResult);
    });
  }

  private changeSet(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const read = () => changeSetWrite(this.arrived(request));
    const isLarge = this.arrived(request).body.length > LARGE_BODY_BYTES;
    return this.publish(
      request,
      reply,
      () => (isLarge ? this.parsing.execute(read) : read()),
      ({ version, term, createdAt, operations }) => {
        const results = operations.map(({ namespace, key, op }) => ({ namespace, key, op, version }));
        return this.send(reply, 200, { version, term, createdAt, results } satisfies ChangeSetResult);
      },
    );
  }

  private rollback(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const read = async () => {
      const { address, toVersion, write } = await rollbackWrite(this.arrived(request), this.currentVersion);
      return write(await this.oldValue(address, toVersion));
    };
    return this.publish(request, reply, read, (outcome) => this.sendPut(reply, outcome, 200));
  }

  /** Answers with the write's outcome, or by passing on the leader's own answer. */
  private async publish(
    request: FastifyRequest,
    reply: FastifyReply,
    read: () => Promise<IncomingWrite>,
    answer: (outcome: WriteOutcome) => FastifyReply,
  ): Promise<FastifyReply> {
    const sender = this.senderOf(request, reply);
    const leader = this.intake.leaderElsewhere(sender);
    if (leader !== undefined) {
      await this.parts.forwarder.forward(request, this.arrived(request).body, reply, leader);
      return reply;
    }
    const checked = async () => {
      const write = await read();
      return { ...write, refusal: write.refusal ?? (await this.refusalOf(write)) };
    };
    return answer(await this.intake.publish(sender, checked));
  }

  private senderOf(request: FastifyRequest, reply: FastifyReply): WriteSender {
    const { headers, raw } = request;
    const { [HEADERS.attempt]: attempt, [HEADERS.aimTerm]: aim } = headers;
    const claim = () => ({
      keyIsFresh: attempt === '1',
      aimTerm: aim === undefined ? null : versionHeader('Holdfast-Aim-Term', aim),
    });
    return {
      requestId: request.id,
      isMember: () => this.parts.guard.isMember(raw),
      forward: headers[HEADERS.forward] === '1',
      forwarded: headers[HEADERS.forwarded] !== undefined,
      attempt: attempt === undefined && aim === undefined ? undefined : claim,
      idempotencyKey: () => idempotencyKey(headers[HEADERS.idempotencyKey]),
      signal: () => whenLeft(reply),
    };
  }

  /** The bytes as they came, and whether an operator sent them. */
  private arrived(request: FastifyRequest): Arrived {
    const { url, headers, body } = request;
    const operator = headers[HEADERS.operator] === '1' && this.parts.guard.isMember(request.raw);
    return { url, headers, body: Buffer.isBuffer(body) ? body : EMPTY, operator };
  }

  private readonly currentVersion = ({ namespace, key }: KeyAddress) =>
    this.parts.host.replica.get(namespace, key)?.version;

  /** What a rollback brings back, or why it cannot: a repeat of one that was done is answered all the same. */
  private async oldValue(address: KeyAddress, toVersion: number): Promise<Entry | Problem> {
    const { host, past } = this.parts;
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

  /** Why the values are not accepted: of several the first in their order. */
  private async refusalOf({ kind, operations }: IncomingWrite): Promise<Problem | undefined> {
    if (kind === 'delete') return undefined;
    try {
      for (let from = 0; from < operations.length; from += CHECKED_AT_ONCE) {
        const checks = operations.slice(from, from + CHECKED_AT_ONCE).map(async (operation, index) => {
          if (operation.op === 'delete') return;
          const { namespace, key, contentType } = operation;
          const where = kind === 'change-set' ? { operation: from + index, namespace, key } : {};
          // What a rollback brings back was checked when it was put, but what Holdfast reads itself may have changed.
          if (kind !== 'rollback') await this.parts.workers.check(contentType, operation.value, where);
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

  private sendPut(reply: FastifyReply, outcome: WriteOutcome, status: number): FastifyReply {
    const operation = outcome.operations[0];
    if (operation?.op !== 'put') throw missing();
    const { namespace, key, checksum } = operation;
    const { version, term, createdAt } = outcome;
    reply.header('etag', entityTag(version));
    return this.send(reply, status, {
      namespace,
      key,
      version,
      term,
      checksum,
      createdAt,
    } satisfies PutResult);
  }

  private send(reply: FastifyReply, status: number, body: unknown): FastifyReply {
    return reply
      .code(status)
      .headers({ ...readHeaders(this.parts.host), 'content-type': 'application/json; charset=utf-8' })
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
