import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { Problem } from '#libs/contracts';
import { encodeSnapshot, type PinnedState, pinState } from '#libs/replica';
import { chooseCoding, compressed } from '../peers/snapshot-coding.js';
import type { ReplicaHost } from '../replica/replica-host.js';

/** The whole state of one version, while changes go on; compressed where the other side knows how to read that. */
export function registerSnapshot(scope: FastifyInstance, host: ReplicaHost): void {
  scope.get('/internal/snapshot', async (request, reply) => {
    const pinned = await pinWithRetries(host);
    if (pinned === undefined)
      throw new Problem('cluster-busy', 'changes come faster than the state is collected');
    const bytes = Readable.from(unhurried(pinned), { objectMode: false });
    const coding = chooseCoding(request.headers['accept-encoding']);
    reply.type('application/octet-stream').header('vary', 'accept-encoding');
    if (coding === undefined) return reply.send(bytes);
    return reply.header('content-encoding', coding).send(compressed(bytes, coding));
  });
}

async function pinWithRetries(host: ReplicaHost): Promise<PinnedState | undefined> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const pinned = await pinState(host.replica, () => nextTurn());
    if (pinned !== undefined) return pinned;
  }
  return undefined;
}

/** Gives way between chunks: hashing a large state must not hold up reads. */
async function* unhurried(pinned: PinnedState): AsyncGenerator<Buffer> {
  for (const chunk of encodeSnapshot(pinned)) {
    yield chunk;
    await nextTurn();
  }
}
