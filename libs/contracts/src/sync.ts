import { z } from 'zod';
import { Counter } from './bus/counters.js';
import { ChainHex } from './change.js';
import { NodeId } from './node.js';

/** How nodes that are behind are brought up to date: what the sync service tells others, and asks of nodes. */
const Time = z.string();
const Version = Counter;

/**
 * `level`: at the head, or so little behind that the broadcast is on its way. `lagging`: so far behind that it is told.
 */
export const LAG_STATES = ['level', 'behind', 'lagging'] as const;
export const LagState = z.enum(LAG_STATES);
export type LagState = z.infer<typeof LagState>;

/** Told when a node begins to lag, and again every few seconds while it does. */
export const SyncLagging = z.object({
  nodeId: NodeId,
  version: Version,
  head: Version,
  behindMs: z.number(),
  at: Time,
});

export const SyncLevel = z.object({
  nodeId: NodeId,
  version: Version,
  head: Version,
  /** Since it began to lag. */
  laggedMs: z.number().nonnegative(),
  at: Time,
});

export const SyncDiverged = z.object({ nodeId: NodeId, version: Version, chain: ChainHex, at: Time });

/**
 * `POST /internal/catch-up`, for a node to do by itself. `head`: it reads the head and compares its history with the log.
 * `state`: it loads the whole state from one of the nodes in `from`, in this order, else from the database; answered
 * when that is done, by 429 `cluster-busy` while it loads one already.
 */
export const CatchUpRequest = z.discriminatedUnion('by', [
  z.object({ by: z.literal('head') }),
  z.object({ by: z.literal('state'), from: z.array(NodeId).max(16) }),
]);
export type CatchUpRequest = z.infer<typeof CatchUpRequest>;
/** Where the node then stands. */
export const CatchUpReply = z.object({ version: Version, chain: ChainHex, entries: z.number().int() });
export type CatchUpReply = z.infer<typeof CatchUpReply>;

/** One node as the instance that looks after it saw it last. */
export const NodeSync = z.object({
  nodeId: NodeId,
  incarnation: z.number(),
  version: Version,
  lagVersions: Version,
  /** For how long it has missed the first of these. */
  lagMs: z.number().nonnegative(),
  /** `diverged`: the log does not have its history. */
  state: z.enum([...LAG_STATES, 'diverged']),
  /** How it is being brought up to date at the moment. */
  by: z.enum(['log', 'snapshot']).nullable(),
  /** Changes in its next batch, at most. */
  batchChanges: z.number().int().positive(),
  observer: z.string(),
  seenAt: Time,
});
export type NodeSync = z.infer<typeof NodeSync>;

export const SyncReport = z.object({
  head: Version,
  instances: z.array(z.string()),
  nodes: z.array(NodeSync),
});
export type SyncReport = z.infer<typeof SyncReport>;
