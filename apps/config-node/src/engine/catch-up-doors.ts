import type { FastifyInstance } from 'fastify';
import { type CatchUpReply, CatchUpRequest, SyncRequest } from '#libs/contracts';
import { bodyOf } from './door-input.js';
import type { PushedChanges } from './pushed-changes.js';
import type { ReplicaHost } from './replica-host.js';
import type { Replication } from './replication.js';

export interface CatchUpParts {
  host: ReplicaHost;
  replication: Replication;
  pushed: PushedChanges;
}

const SYNC_BODY_BYTES = 32 * 1024 * 1024;

/** Where the sync service brings this node up to date: by batches of the log, or by telling it what to do itself. */
export function registerCatchUp(doors: FastifyInstance, { host, replication, pushed }: CatchUpParts): void {
  doors.post('/sync', { bodyLimit: SYNC_BODY_BYTES }, async (request) => {
    pushed.refuseIfBusy();
    return pushed.take(bodyOf(request, SyncRequest).changes);
  });

  doors.post('/internal/catch-up', async (request): Promise<CatchUpReply> => {
    const asked = bodyOf(request, CatchUpRequest);
    if (asked.by === 'head') replication.doubt();
    else await replication.loadAnew(asked.from);
    const { version, chain } = host.replica;
    const entries = host.replica.namespaces().reduce((sum, { keys }) => sum + keys, 0);
    return { version, chain, entries };
  });
}
