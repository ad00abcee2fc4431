import { z } from 'zod';
import { Counter } from './bus/counters.js';
import { NodeId } from './node.js';

/**
 * Whether all replicas hold the same: what the consistency service compares, finds, repairs, and tells others. The truth
 * is the change log; what several nodes say against one decides nothing.
 */
const Time = z.string();
const Version = Counter;
const Hash = z.string();

/** `unknown` is never taken for `match`: nothing is said of a node that could not be compared. */
export const CONSISTENCY_RESULTS = ['match', 'mismatch', 'unknown'] as const;
export const ConsistencyResult = z.enum(CONSISTENCY_RESULTS);
export type ConsistencyResult = z.infer<typeof ConsistencyResult>;

export const CONSISTENCY_REASONS = [
  // mismatch
  'root', // another digest than the truth's at the same version and chain
  'at-rest', // the node itself found something altered in its memory
  // unknown
  'unreachable', // no connection, or no answer in time
  'refused', // an answer that is none: another status, or not of the shape agreed on
  'not-reached', // it is behind
  'forgotten', // it does not remember so old a version
  'other-format', // its digests are made by another algorithm
  'other-chain', // its history is another at this version: that is for replication to settle
  'alone', // nobody else could be compared with, and the truth was not, lately
  'undecided', // digests differ, and the truth could not be had
  'no-address', // it is not known where it listens
] as const;
export const ConsistencyReason = z.enum(CONSISTENCY_REASONS);
export type ConsistencyReason = z.infer<typeof ConsistencyReason>;

/**
 * `missing`: the truth has the key. `mismatch`: another version, type or value. `extra`: the truth has no such key.
 * `digest`: keys and values are right, and the digest that is kept of them is not; the key is the number of the bucket.
 */
export const DIFFERENCE_CLASSES = ['missing', 'mismatch', 'extra', 'digest'] as const;
export const DifferenceClass = z.enum(DIFFERENCE_CLASSES);
export type DifferenceClass = z.infer<typeof DifferenceClass>;

/** A key as it should stand, or as it was found. `checksum` is of the bytes: `sha256:` and 64 hex digits. */
export const KeyState = z.object({ version: Version, contentType: z.string(), checksum: Hash });
export type KeyState = z.infer<typeof KeyState>;

/** Null = the key does not stand there. */
export const Difference = z.object({
  namespace: z.string(),
  key: z.string(),
  class: DifferenceClass,
  expected: KeyState.nullable(),
  found: KeyState.nullable(),
});
export type Difference = z.infer<typeof Difference>;

/** Where something is, or was, wrong: a node, or the table `config.entries`. */
export const CONFIG_ENTRIES = 'config.entries';
const Place = z.string();

/** What the checks of one node say has changed. */
export const ConsistencyChecked = z.object({
  nodeId: NodeId,
  from: ConsistencyResult.nullable(),
  result: ConsistencyResult,
  reason: ConsistencyReason.nullable(),
  /** Where the histories were compared. */
  version: Version,
  chain: Hash,
  /** Of these, if any, at most a hundred are told. */
  differences: z.array(Difference).max(100),
  observer: z.string(),
  at: Time,
});
export type ConsistencyChecked = z.infer<typeof ConsistencyChecked>;

/**
 * `repaired`: the truth stands there now. `newer`: it has been changed since, so nothing was done. `equal`: nothing was
 * wrong any more. `reloaded`: the whole state was replaced. `failed`: it could not be done.
 */
export const REPAIR_OUTCOMES = ['repaired', 'newer', 'equal', 'reloaded', 'failed'] as const;
export const RepairOutcome = z.enum(REPAIR_OUTCOMES);
export type RepairOutcome = z.infer<typeof RepairOutcome>;

export const ConsistencyRepaired = z.object({
  /** A node, or `config.entries`. */
  place: Place,
  /** Of a whole state that was replaced: null. */
  difference: Difference.nullable(),
  outcome: RepairOutcome,
  /** A name, such as `check`, `scrub`, `too-many`, `again`. */
  why: z.string(),
  version: Version,
  observer: z.string(),
  at: Time,
});
export type ConsistencyRepaired = z.infer<typeof ConsistencyRepaired>;

// ---- questions, and the gateway's /v1/consistency ---------------------------------------------------------------

/** What an operator sends. Without `repair` nothing is changed anywhere. */
export const ConsistencyCheckRequest = z.strictObject({ repair: z.boolean().default(false) });

export const NodeConsistency = z.object({
  nodeId: NodeId,
  result: ConsistencyResult,
  reason: ConsistencyReason.nullable(),
  /** When the result became this one. */
  since: Time,
  checkedAt: Time,
  version: Version,
  observer: z.string(),
});
export type NodeConsistency = z.infer<typeof NodeConsistency>;

export const FoundDifferences = z.object({
  nodeId: NodeId,
  /** At most a hundred; `more` says how many others there are at least. */
  differences: z.array(Difference),
  more: z.number().int().nonnegative(),
});
export type FoundDifferences = z.infer<typeof FoundDifferences>;

/** One round: one pinned version, all nodes. */
export const ConsistencyCheckReply = z.object({
  version: Version,
  chain: Hash,
  tookMs: z.number().nonnegative(),
  /** All nodes match. */
  consistent: z.boolean(),
  nodes: z.array(
    z.object({ nodeId: NodeId, result: ConsistencyResult, reason: ConsistencyReason.nullable() }),
  ),
  found: z.array(FoundDifferences),
  /** What was done about it; empty when it was not asked for. */
  repairs: z.array(ConsistencyRepaired),
});
export type ConsistencyCheckReply = z.infer<typeof ConsistencyCheckReply>;

export const ConsistencyRound = z.object({
  observer: z.string(),
  /** Rounds in a row that found the same. */
  rounds: z.number().int().positive(),
  firstAt: Time,
  lastAt: Time,
  /** Of the last one. */
  version: Version,
  /** Nodes by what was found of them. */
  match: z.number().int().nonnegative(),
  mismatch: z.number().int().nonnegative(),
  unknown: z.number().int().nonnegative(),
});
export type ConsistencyRound = z.infer<typeof ConsistencyRound>;

/** Changes that were acknowledged, that the database lost, and that a node therefore discarded. */
export const DiscardedHistory = z.object({
  nodeId: NodeId,
  /** The first and the last version. */
  from: Version,
  to: Version,
  /** So many of them are in `file`, on the node's disk, for a person to publish again; null = none was at hand. */
  changes: z.number().int().nonnegative(),
  file: z.string().nullable(),
  at: Time,
});
export type DiscardedHistory = z.infer<typeof DiscardedHistory>;

/** The last comparison of nodes with a digest of the state in the database: it finds those that are all wrong alike. */
export const TruthCompared = z.object({
  /** Of the snapshot whose digest was computed. */
  version: Version,
  chain: Hash,
  /** How many entries it has. */
  entries: z.number().int().nonnegative(),
  tookMs: z.number().nonnegative(),
  observer: z.string(),
  at: Time,
  match: z.array(NodeId),
  /** Nodes of which something differs: the round that follows says what, and whose fault it is. */
  suspect: z.array(NodeId),
  unknown: z.array(NodeId),
});
export type TruthCompared = z.infer<typeof TruthCompared>;

export const ConsistencyReport = z.object({
  nodes: z.array(NodeConsistency),
  /** Of the nodes that mismatch now. */
  open: z.array(FoundDifferences),
  /** Newest first. */
  rounds: z.array(ConsistencyRound),
  /** Newest first, those of `config.entries` among them. */
  repairs: z.array(ConsistencyRepaired),
  /** Newest first. */
  discarded: z.array(DiscardedHistory).default([]),
  truth: TruthCompared.nullable().default(null),
});
export type ConsistencyReport = z.infer<typeof ConsistencyReport>;

// ---- doors of the nodes ------------------------------------------------------------------------------------------

const Put = z.object({
  namespace: z.string(),
  key: z.string(),
  version: Version,
  contentType: z.string(),
  checksum: Hash,
  value: z.string(),
  encoding: z.literal('base64').optional(),
  updatedAt: Time,
});

/**
 * `POST /internal/repair`: what these keys are at `version` of the history `chain`, which the node must have reached and
 * still remember; otherwise problem 504 `version-not-reached` or 410 `version-compacted`, with `reason`. Of a key that
 * was changed after `version` nothing is touched.
 */
export const RepairRequest = z.object({
  version: Version,
  chain: Hash,
  puts: z.array(Put).max(100),
  deletes: z.array(z.object({ namespace: z.string(), key: z.string() })).max(100),
  /** Buckets whose digests are to be computed anew from what is in them. */
  digests: z.array(z.number().int().min(0).max(1_023)).max(100).default([]),
});
export type RepairRequest = z.input<typeof RepairRequest>;

export const RepairReply = z.object({
  /** Where the node stands. */
  version: Version,
  keys: z.array(
    z.object({
      namespace: z.string(),
      key: z.string(),
      outcome: z.enum(['repaired', 'newer', 'equal']),
      before: KeyState.nullable(),
      after: KeyState.nullable(),
    }),
  ),
});
export type RepairReply = z.infer<typeof RepairReply>;

/** `POST /internal/resync`: the node replaces its whole state by that of the database, whatever its digest says. */
export const ResyncRequest = z.object({ why: z.string().max(256) });
export const ResyncReply = z.object({
  result: z.enum(['replaced', 'was-right', 'unavailable']),
  version: Version,
});
export type ResyncReply = z.infer<typeof ResyncReply>;
