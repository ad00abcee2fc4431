import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { type DigestKeysReply, type DigestReply, HEADERS, Problem } from '#libs/contracts';
import {
  BUCKET_PARTS,
  checksumOf,
  DIGEST_BUCKETS,
  DIGEST_FORMAT,
  type Entry,
  PartDigests,
  partOf,
  type UnknownDigest,
} from '#libs/replica';
import type { Scrubber } from '../integrity/scrubber.js';
import type { Verification } from '../integrity/verification.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import { queryOf } from './request-input.js';

const MAX_WAIT_MS = 1_000;
const MAX_KEYS = 10_000;
const HASHED_AT_ONCE_BYTES = 256 * 1024;
/** What an entry costs beside hashing its value, in bytes that could be hashed meanwhile. */
const ENTRY_BYTES = 1_024;

const PointQuery = z.object({
  version: z.coerce.number().int().nonnegative().optional(),
  waitMs: z.coerce.number().int().min(0).max(MAX_WAIT_MS).default(0),
});
const numberBelow = (limit: number) =>
  z.coerce
    .number()
    .int()
    .min(0)
    .max(limit - 1);
const BucketQuery = PointQuery.extend({ bucket: numberBelow(DIGEST_BUCKETS) });
const KeysQuery = BucketQuery.extend({ part: numberBelow(BUCKET_PARTS).optional() });

/** What the node found out about its own state. */
interface IntegrityFindings {
  verification: Pick<Verification, 'verified'>;
  scrubber: Pick<Scrubber, 'damagedBuckets'>;
}

/** What this node's state comes to, as a whole, by bucket and by key: all of one moment, from memory alone. */
export function registerDigest(
  scope: FastifyInstance,
  host: ReplicaHost,
  integrity: IntegrityFindings,
): void {
  const { nodeId, replica } = host;
  const atVersion = async ({ version = replica.version, waitMs }: z.infer<typeof PointQuery>) => {
    if (waitMs > 0) await host.waitForVersion(version, waitMs);
    return version;
  };
  const known = <T extends object>(answer: T | UnknownDigest, version: number): T => {
    if (typeof answer === 'string') throw unknown(answer, version, replica.version);
    return answer;
  };

  scope.get('/internal/digest', async (request): Promise<DigestReply> => {
    const version = await atVersion(queryOf(request, PointQuery));
    const point = known(replica.digestAt(version), version);
    const { verified } = integrity.verification;
    const { damagedBuckets } = integrity.scrubber;
    return { nodeId, format: DIGEST_FORMAT, ...point, verified, damagedBuckets };
  });
  scope.get('/internal/digest/buckets', async (request, reply) => {
    const version = await atVersion(queryOf(request, PointQuery));
    const { chain, buckets } = known(replica.bucketDigestsAt(version), version);
    return sendDigests(reply, buckets, { version, chain });
  });
  scope.get('/internal/digest/parts', async (request, reply) => {
    const { bucket, ...point } = queryOf(request, BucketQuery);
    const version = await atVersion(point);
    const entries = known(replica.entriesOfBucket(bucket, version), version);
    const chain = replica.chainAt(version);
    if (chain === undefined) throw unknown('forgotten', version, replica.version);
    return sendDigests(reply, await partsOf(entries), { version, chain });
  });
  scope.get('/internal/digest/keys', async (request): Promise<DigestKeysReply> => {
    const { bucket, part, ...point } = queryOf(request, KeysQuery);
    const version = await atVersion(point);
    const all = known(replica.entriesOfBucket(bucket, version), version);
    const entries =
      part === undefined ? all : all.filter(({ namespace, key }) => partOf(namespace, key) === part);
    const truncated = entries.length > MAX_KEYS;
    const told = await described(entries.slice(0, MAX_KEYS));
    return { format: DIGEST_FORMAT, version, bucket, entries: told, truncated };
  });
}

function sendDigests(
  reply: FastifyReply,
  digests: Buffer,
  { version, chain }: { version: number; chain: string },
) {
  return reply
    .headers({
      [HEADERS.version]: version,
      [HEADERS.chain]: chain,
      [HEADERS.digestFormat]: DIGEST_FORMAT,
    })
    .type('application/octet-stream')
    .send(digests);
}

async function partsOf(entries: readonly Entry[]): Promise<Buffer> {
  const parts = new PartDigests();
  for (const entry of await described(entries)) parts.add(entry);
  return parts.cut();
}

/** With checksums of what the bytes are now; gives way, since a bucket may hold any amount of them. */
async function described(entries: readonly Entry[]): Promise<DigestKeysReply['entries']> {
  const told: DigestKeysReply['entries'] = [];
  let bytes = 0;
  for (const { namespace, key, version, contentType, value } of entries) {
    told.push({ namespace, key, version, contentType, checksum: checksumOf(value) });
    bytes += value.length + ENTRY_BYTES;
    if (bytes < HASHED_AT_ONCE_BYTES) continue;
    bytes = 0;
    await nextTurn();
  }
  return told;
}

function unknown(reason: UnknownDigest, asked: number, version: number): Problem {
  const members = { reason, version };
  return reason === 'not-reached'
    ? new Problem('version-not-reached', `this node is at version ${version}, not yet at ${asked}`, members)
    : new Problem('version-compacted', `this node does not remember its state at version ${asked}`, members);
}
