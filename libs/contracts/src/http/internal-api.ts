import { z } from 'zod';
import { Head } from '../bus/subjects.js';
import { ChainHex, WireChange } from '../change.js';
import { LIMITS } from '../limits.js';
import { NODE_ROLES, NodeId } from '../node.js';

/**
 * Routes between Holdfast processes. All but /ping demand a signature by the cluster key (docs/process-authentication.md), or
 * the key itself from an operator.
 */

/** `GET /ping` on a node: answered from the event loop alone. */
export const NodePing = z.object({
  nodeId: NodeId,
  incarnation: z.number(),
  role: z.enum(NODE_ROLES),
  term: z.number(),
  version: z.number(),
  /** The highest that the node ever held, also of a history that it had to discard. Releases before do not say. */
  highestVersion: z.number().optional(),
  fenceConfirmedAgoMs: z.number().nullable(),
  stopping: z.boolean(),
  /** Of the database whose history the node holds; null before it met one. */
  clusterId: z.string().nullish(),
});
export type NodePing = z.infer<typeof NodePing>;

/** `POST /sync`: contiguous changes for a node that is behind; the answer is where it then stands. */
export const SyncRequest = z.object({ changes: z.array(WireChange).max(LIMITS.pageChanges) });
export const SyncReply = z.object({ version: z.number(), chain: ChainHex });
export type SyncReply = z.infer<typeof SyncReply>;

/** `POST /internal/handover` on the leader: stop taking writes for at most `pauseMs` while leadership moves. */
export const PauseRequest = z.object({ term: z.number(), pauseMs: z.number().min(1).max(2_000) });
/** Where the leader stood when it had finished what it had taken. */
export const PauseReply = Head;

/** What a followed log says besides changes: a sign of life with the head every 500 ms, or that it goes on elsewhere. */
export const LogNotice = z.union([
  z.object({ head: Head, leaderId: NodeId.nullable() }),
  z.object({ reset: z.object({ version: z.number(), reason: z.enum(['compacted', 'diverged']) }) }),
]);
export type LogNotice = z.infer<typeof LogNotice>;

/**
 * One line of `GET /internal/follow?after=N` (newline-delimited JSON), for those who do not accept frames of changes
 * (change-frames.ts), which a release before them does not know.
 */
export const FollowLine = z.union([z.object({ changes: z.array(WireChange).min(1) }), LogNotice]);
export type FollowLine = z.infer<typeof FollowLine>;

/**
 * Whether a node's state was found right since it was loaded: `by-peer` = its digest is that of another node at the same
 * version and chain; `by-chain` = nobody could be asked, and its chain is the head's in the database.
 */
export const VERIFICATIONS = ['pending', 'by-peer', 'by-chain'] as const;
export type Verified = (typeof VERIFICATIONS)[number];

const DigestHex = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * `GET /internal/digest?version=N&waitMs=M`: the digest of the node's whole state at a version; without `version` at its
 * present one. A version that it has not reached within `waitMs` (0 to 1,000, 0 by default) is a problem
 * `version-not-reached` (504), one that it does not remember `version-compacted` (410): both with `reason`
 * (`not-reached`, `forgotten`) and the `version` where it stands. Digests can be compared at equal `format`, `version`
 * and `chain` only; everything else is unknown, neither equal nor unequal. The algorithm stands in libs/replica.
 */
export const DigestReply = z.object({
  nodeId: NodeId,
  format: z.number().int(),
  version: z.number().int().nonnegative(),
  chain: ChainHex,
  hash: DigestHex,
  verified: z.enum(VERIFICATIONS),
  /** Buckets of which the node itself found something altered at rest: the digest does not show that. */
  damagedBuckets: z.array(z.number().int()).max(1_024),
});
export type DigestReply = z.infer<typeof DigestReply>;

/**
 * `GET /internal/digest/buckets?version=N&waitMs=M` answers in bytes: the first 8 of each of the 1,024 buckets' digests,
 * one after the other, all of one version; `Holdfast-Version`, `Holdfast-Chain` and `Holdfast-Digest-Format` say of
 * which. Problems as above; a version more than 2,000 operations ago counts as forgotten.
 */
export const DIGEST_BUCKETS_BYTES = 8_192;

/**
 * `GET /internal/digest/parts?bucket=B&version=N` answers in bytes as well, with the same headers: the first 8 of the
 * digest of each of the 64 parts of one bucket, computed anew from the bytes that are stored, so that damage at rest
 * shows. Problems as above. A node that does not know this door answers 404.
 */
export const DIGEST_PARTS_BYTES = 512;

/**
 * `GET /internal/digest/keys?bucket=B&version=N&part=P`: what stands in one bucket, or in one part of it, by namespace
 * and key. The checksums are computed anew from the bytes. A node that knows no parts answers with the whole bucket.
 * Problems as above.
 */
export const DigestKeysReply = z.object({
  format: z.number().int(),
  version: z.number().int().nonnegative(),
  bucket: z.number().int(),
  entries: z.array(
    z.object({
      namespace: z.string(),
      key: z.string(),
      version: z.number().int(),
      contentType: z.string(),
      checksum: z.string(),
    }),
  ),
  /** There are more than the 10,000 that one answer has room for. */
  truncated: z.boolean(),
});
export type DigestKeysReply = z.infer<typeof DigestKeysReply>;
