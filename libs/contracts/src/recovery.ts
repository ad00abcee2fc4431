import { z } from 'zod';
import { Counter } from './bus/counters.js';
import { Incarnation, NodeId } from './node.js';

/** How a failed node is brought back, and what keeps one out of the rotation: facts, questions and answers. */
const Time = z.string();

/**
 * Whether a node is kept out of the rotation: drained by an operator, or quarantined because it failed again and again.
 * From failover to the registry. It outlives the node's process; the greatest `seq` counts.
 */
export const NodeHold = z.object({
  nodeId: NodeId,
  seq: Counter.positive(),
  drained: z.boolean(),
  /** Null = not quarantined; else when the quarantine ends by itself. */
  quarantinedUntil: Time.nullable(),
  by: z.string(),
  why: z.string(),
  at: Time,
});
export type NodeHold = z.infer<typeof NodeHold>;

export const RECOVERY_STATES = [
  'waiting', // for whoever runs the process to start it again, or for the next try
  'restarting', // its driver was asked to
  'verifying', // it is to answer, as who it should be, with a ready /health
  'catching-up', // it is ready, and not yet level with the head
  'healthy', // over
  'timed-out', // given up; a node that comes back by itself is taken back
  'quarantined', // it failed again and again: it is not restarted
] as const;
export type RecoveryState = (typeof RECOVERY_STATES)[number];

/** One step of bringing one node back. */
export const RecoveryStep = z.object({
  nodeId: NodeId,
  /** Counts up for ever per node; a receiver applies only what is greater. */
  seq: Counter.positive(),
  state: z.enum(RECOVERY_STATES),
  /** The incarnation that failed, or that an operator had restarted. */
  incarnation: Incarnation,
  /** Restarts asked for in this recovery. */
  attempt: z.number().int().nonnegative(),
  /** An operator wanted it: no failure. */
  planned: z.boolean(),
  /** A name, such as `process-down`, `not-back-in-time`, `level`. */
  why: z.string(),
  /** The failover instance that took the step. */
  by: z.string(),
  at: Time,
});
export type RecoveryStep = z.infer<typeof RecoveryStep>;

export const HoldsReply = z.object({ holds: z.array(NodeHold) });

const Why = z.string().trim().min(1).max(256);

/** What an operator sends to drain, undrain, restart or release a node. */
export const OperatorRequest = z.strictObject({ why: Why.optional() });
export const DrainRequest = z.object({ nodeId: NodeId, drained: z.boolean(), why: Why.optional() });
export const RestartRequest = z.object({ nodeId: NodeId, why: Why.optional() });
export const ReleaseRequest = z.object({ nodeId: NodeId, why: Why.optional() });

/** `hold` is null for a node that was never kept out of the rotation. */
export const HoldReply = z.object({ nodeId: NodeId, hold: NodeHold.nullable() });
export type HoldReply = z.infer<typeof HoldReply>;
/** The restart is under way; its steps are those of the node's recoveries. */
export const RestartReply = HoldReply.extend({ driver: z.string(), incarnation: Incarnation });
export type RestartReply = z.infer<typeof RestartReply>;

export const RecoveriesRequest = z.object({
  nodeId: NodeId.optional(),
  limit: z.number().int().min(1).max(1_000).default(50),
});
export const RecoveriesReply = z.object({ recoveries: z.array(RecoveryStep) });
