import type { FastifyInstance, FastifyRequest } from 'fastify';
import {
  type CatchUpReply,
  CatchUpRequest,
  type Change,
  changeFromWire,
  decodeChanges,
  FrameDamaged,
  LIMITS,
  Problem,
  SyncRequest,
} from '#libs/contracts';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { PushedChanges } from '../replication/pushed-changes.js';
import type { Replication } from '../replication/replication.js';
import { bodyOf } from './request-input.js';

export interface CatchUpParts {
  host: ReplicaHost;
  replication: Replication;
  pushed: PushedChanges;
}

/** Where the sync service brings this node up to date: by batches of the log, or by telling it what to do itself. */
export function registerCatchUp(scope: FastifyInstance, { host, replication, pushed }: CatchUpParts): void {
  scope.post('/sync', async (request) => {
    pushed.refuseIfBusy();
    return pushed.accept(pushedIn(request));
  });

  scope.post('/internal/catch-up', async (request): Promise<CatchUpReply> => {
    const asked = bodyOf(request, CatchUpRequest);
    if (asked.by === 'head') replication.doubt();
    else await replication.loadAnew(asked.from);
    const { version, chain } = host.replica;
    const entries = host.replica.namespaces().reduce((sum, { keys }) => sum + keys, 0);
    return { version, chain, entries };
  });
}

/** Frames, or JSON from a sync service of the release before. */
function pushedIn(request: FastifyRequest): Change[] {
  if (!Buffer.isBuffer(request.body)) return bodyOf(request, SyncRequest).changes.map(changeFromWire);
  try {
    const changes = decodeChanges(request.body);
    if (changes.length <= LIMITS.pageChanges) return changes;
  } catch (error) {
    if (!(error instanceof FrameDamaged)) throw error;
    throw new Problem('invalid-request', error.message, {}, { cause: error });
  }
  throw new Problem('invalid-request', `a batch has at most ${LIMITS.pageChanges} changes`);
}
