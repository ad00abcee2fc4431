import { z } from 'zod';
import { ChainHex, WireChange } from './change.js';
import { NODE_ROLES, NodeId } from './node.js';
import { Head } from './subjects.js';

/** Doors between Holdfast processes. All but /ping demand the cluster's secret in `Holdfast-Cluster-Key`. */

/** `GET /ping` on a node: answered from the event loop alone. */
export const NodePing = z.object({
  nodeId: NodeId,
  incarnation: z.number(),
  role: z.enum(NODE_ROLES),
  term: z.number(),
  version: z.number(),
  fenceConfirmedAgoMs: z.number().nullable(),
  stopping: z.boolean(),
  /** Of the database whose history the node holds; null before it met one. */
  clusterId: z.string().nullish(),
});
export type NodePing = z.infer<typeof NodePing>;

/** `POST /sync`: contiguous changes for a node that is behind; the answer is where it then stands. */
export const SyncRequest = z.object({ changes: z.array(WireChange).max(1_000) });
export const SyncReply = z.object({ version: z.number(), chain: ChainHex });
export type SyncReply = z.infer<typeof SyncReply>;

/** `POST /internal/handover` on the leader: stop taking writes for at most `pauseMs` while leadership moves. */
export const PauseRequest = z.object({ term: z.number(), pauseMs: z.number().min(1).max(2_000) });
/** Where the leader stood when it had finished what it had taken. */
export const PauseReply = Head;

/** One line of `GET /internal/follow?after=N` (newline-delimited JSON): changes, or a sign of life with the head every 500 ms. */
export const FollowLine = z.union([
  z.object({ changes: z.array(WireChange).min(1) }),
  z.object({ head: Head, leaderId: NodeId.nullable() }),
  z.object({ reset: z.object({ version: z.number(), reason: z.enum(['compacted', 'diverged']) }) }),
]);
export type FollowLine = z.infer<typeof FollowLine>;
