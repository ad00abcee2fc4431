import type { FastifyInstance } from 'fastify';
import {
  Problem,
  type RepairReply,
  RepairRequest,
  type ResyncReply,
  ResyncRequest,
  valueFromJson,
} from '#libs/contracts';
import type { Logger } from '#libs/observability';
import { bucketOf, checksumOf, type KeyTruth, type NotRepaired, type RepairedKey } from '#libs/replica';
import type { Scrubber } from '../integrity/scrubber.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { Snapshotter } from '../replica/snapshotter.js';
import type { StateReload } from '../state-transfer/state-reload.js';
import { bodyOf } from './request-input.js';

export interface RepairParts {
  host: ReplicaHost;
  scrubber: Pick<Scrubber, 'lookAgain'>;
  snapshotter: Pick<Snapshotter, 'outdated'>;
  reload: Pick<StateReload, 'reload'>;
  logger: Logger;
}

/** A hundred values of 1 MiB would not fit: whoever repairs sends them in several requests. */
const REPAIR_BODY_BYTES = 32 * 1024 * 1024;

/** Where the consistency service sets this node right: single keys by the truth of a version, or the whole state. */
export function registerRepair(scope: FastifyInstance, parts: RepairParts): void {
  let reloading = false;

  scope.post('/internal/repair', { bodyLimit: REPAIR_BODY_BYTES }, async (request): Promise<RepairReply> => {
    const asked = bodyOf(request, RepairRequest);
    return repair(parts, asked.version, asked.chain, truthsOf(asked), asked.digests ?? []);
  });

  scope.post('/internal/resync', async (request): Promise<ResyncReply> => {
    const { why } = bodyOf(request, ResyncRequest);
    if (reloading) throw new Problem('cluster-busy', 'the state is being loaded anew already');
    reloading = true;
    try {
      parts.logger.error({ why }, 'reloading the state: the consistency service asked for it');
      const result = await parts.reload.reload(null, { whateverItsDigest: true });
      return { result, version: parts.host.replica.version };
    } finally {
      reloading = false;
    }
  });
}

async function repair(
  { host, scrubber, snapshotter, logger }: RepairParts,
  version: number,
  chain: string,
  truths: readonly KeyTruth[],
  digests: readonly number[],
): Promise<RepairReply> {
  const { replica } = host;
  const done = replica.repair(version, chain, truths, digests);
  if (typeof done === 'string') throw notRepaired(done, version, replica.version);
  const repaired = done.filter(({ outcome }) => outcome === 'repaired');
  for (const each of repaired) logger.warn({ repaired: each, version }, 'repaired key');
  if (digests.length > 0) logger.warn({ buckets: digests }, 'recomputed digests of buckets');
  if (repaired.length > 0 || digests.length > 0) snapshotter.outdated();
  // Of a key that was right all along too: the bucket may have been found damaged for what is now gone.
  const touched = done.map(({ namespace, key }: RepairedKey) => bucketOf(namespace, key));
  for (const bucket of new Set([...touched, ...digests])) await scrubber.lookAgain(bucket);
  return { version: replica.version, keys: done };
}

function truthsOf({ puts, deletes }: RepairRequest): KeyTruth[] {
  const stands = puts.map((put): KeyTruth => {
    const { namespace, key, version, contentType, checksum, updatedAt } = put;
    const value = valueFromJson(put);
    if (checksumOf(value) !== checksum)
      throw new Problem('invalid-request', `the value of ${namespace}/${key} is not that of its checksum`);
    const entry = { namespace, key, value, contentType, version, checksum, updatedAt };
    return { namespace, key, entry };
  });
  return [...stands, ...deletes.map(({ namespace, key }) => ({ namespace, key, entry: undefined }))];
}

function notRepaired(reason: NotRepaired, asked: number, version: number): Problem {
  const members = { reason, version };
  return reason === 'not-reached'
    ? new Problem('version-not-reached', `this node is at version ${version}, not yet at ${asked}`, members)
    : new Problem('version-compacted', `version ${asked} of that history is not remembered here`, members);
}
