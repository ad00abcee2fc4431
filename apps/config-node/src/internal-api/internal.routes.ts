import { PassThrough } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import {
  CHANGE_FRAMES_TYPE,
  changeToWire,
  encodeChanges,
  HEADERS,
  type Head,
  LIMITS,
  PauseRequest,
  PollRequest,
  Problem,
} from '#libs/contracts';
import { TimeoutError, withTimeout } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import { SharedRequest } from '#libs/watch';
import type { Publisher } from '../commit/publisher.js';
import { logPage } from '../history/log-pages.js';
import { fromStorage } from '../history/storage-problem.js';
import type { StoredHistory } from '../history/stored-history.js';
import type { Integrity } from '../integrity/integrity.js';
import type { Leadership } from '../leadership/leadership.js';
import { SameIdClaim, type SameIdGuard } from '../membership/same-id-guard.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import { PushedChanges } from '../replication/pushed-changes.js';
import type { Replication } from '../replication/replication.js';
import type { CandidatePollHandler } from './candidate-poll-handler.js';
import { registerCatchUp } from './catch-up.routes.js';
import { registerDigest } from './digest.routes.js';
import { FollowResponse } from './follow-response.js';
import { LogOutput, logFormFor } from './log-output.js';
import { type RepairParts, registerRepair } from './repair.routes.js';
import { bodyOf, queryOf, registerBodyParsers } from './request-input.js';
import { registerSnapshot } from './snapshot.routes.js';

export interface InternalApiParts {
  host: ReplicaHost;
  leadership: Leadership;
  publisher: Publisher;
  replication: Replication;
  poll: CandidatePollHandler;
  integrity: Integrity;
  repair: Omit<RepairParts, 'host' | 'logger' | 'scrubber'>;
  sameId: SameIdGuard;
  store: StoredHistory;
  logger: Logger;
}

const TETHER_EVERY_MS = 5_000;
/** Anybody may hold one; failover processes, which need them, are few. */
const MAX_LIVENESS_CONNECTIONS = 1_024;

const LogQuery = z.object({
  after: z.coerce.number().int().nonnegative(),
  limit: z.coerce.number().int().min(1).max(LIMITS.pageChanges).default(LIMITS.pageChanges),
  maxBytes: z.coerce.number().int().min(1).max(LIMITS.batchBytes).default(LIMITS.batchBytes),
  /** Only what touches one of these, with commas between them; the answer says up to which version that is complete. */
  namespaces: z
    .string()
    .default('')
    .transform((text) => (text === '' ? [] : text.split(',').slice(0, LIMITS.watchesPerStream))),
});
const FollowQuery = LogQuery.pick({ after: true });

/** What the processes of the cluster ask of a node. The guard that demands the cluster's secret stands before these. */
export async function registerInternalRoutes(
  fastify: FastifyInstance,
  parts: InternalApiParts,
): Promise<void> {
  await fastify.register(async (scope) => {
    registerBodyParsers(scope);
    registerLog(scope, parts);
    registerStreams(scope, parts);
    registerQuestions(scope, parts);
    const { host, integrity, replication, logger } = parts;
    scope.post('/internal/same-id', async (request) => {
      parts.sameId.claimed(bodyOf(request, SameIdClaim));
      return {};
    });
    registerSnapshot(scope, host);
    registerDigest(scope, host, integrity);
    registerCatchUp(scope, { host, replication, pushed: new PushedChanges(replication) });
    registerRepair(scope, { ...parts.repair, host, logger, scrubber: integrity.scrubber });
  });
}

function registerLog(scope: FastifyInstance, { host, store }: InternalApiParts): void {
  scope.get('/internal/log', async (request, reply) => {
    const query = queryOf(request, LogQuery);
    const page = await fromStorage(logPage(host, store, query));
    if (page === 'compacted') {
      throw new Problem('version-compacted', `the changes after ${query.after} are no longer kept`);
    }
    const { changes, through } = page;
    if (query.namespaces.length > 0) reply.header(HEADERS.through, through);
    if (logFormFor(request.headers.accept) !== CHANGE_FRAMES_TYPE) return changes.map(changeToWire);
    return reply.type(CHANGE_FRAMES_TYPE).send(encodeChanges(changes));
  });
}

function registerStreams(scope: FastifyInstance, parts: InternalApiParts): void {
  const { host, leadership, store, logger } = parts;
  const open = new Set<PassThrough>();
  const keep = (line: PassThrough) => {
    open.add(line);
    line.once('close', () => open.delete(line));
    return line;
  };
  // The server closes only when every answer has ended, and these never do by themselves.
  scope.addHook('preClose', async () => {
    for (const line of open) line.end();
  });
  scope.get('/internal/follow', (request, reply) => {
    const { after } = queryOf(request, FollowQuery);
    const form = logFormFor(request.headers.accept);
    const bytes = keep(new PassThrough({ highWaterMark: 256 * 1024 }));
    const stream = new FollowResponse(after, new LogOutput(bytes, form), host, leadership, store, logger);
    stream.serve().then(
      () => bytes.end(),
      (error: unknown) => {
        logger.warn({ error }, 'the stream of a follower failed: it is cut');
        bytes.destroy();
      },
    );
    return reply.type(form).send(bytes);
  });
  // Stays open: that it closes is the evidence of this process's end.
  let livenessConnections = 0;
  scope.get('/internal/tether', (_request, reply) => {
    if (livenessConnections >= MAX_LIVENESS_CONNECTIONS) {
      throw new Problem('cluster-busy', `${livenessConnections} liveness connections are open`);
    }
    livenessConnections += 1;
    const line = keep(new PassThrough());
    const beat = () => line.writableEnded || line.write('\n');
    const timer = setInterval(beat, TETHER_EVERY_MS);
    line.once('close', () => {
      clearInterval(timer);
      livenessConnections -= 1;
    });
    beat();
    return reply.type('text/plain').send(line);
  });
}

function registerQuestions(
  scope: FastifyInstance,
  { host, leadership, publisher, poll, store }: InternalApiParts,
): void {
  const newest = new SharedRequest(() => fromStorage(store.barrier()));
  // Where the history ends, by a statement of the database that began after the question came.
  scope.get('/internal/head', async () => ({ version: (await newest.ask()).version }));
  scope.post('/internal/poll', async (request) => poll.answer(bodyOf(request, PollRequest)));
  scope.post('/internal/handover', async (request): Promise<Head> => {
    const { term, pauseMs } = bodyOf(request, PauseRequest);
    if (!publisher.isLeading || leadership.term !== term) {
      throw new Problem('not-leader', `this node does not lead term ${term}`, {
        leader: leadership.leader?.address ?? null,
      });
    }
    try {
      await withTimeout(publisher.pause(pauseMs), pauseMs, 'finishing what was taken');
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      throw new Problem('cluster-busy', error.message);
    }
    return { term, version: host.replica.version, chain: host.replica.chain };
  });
}
