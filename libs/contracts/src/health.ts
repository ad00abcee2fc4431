import { z } from 'zod';
import { Counter } from './bus/counters.js';
import { Incarnation, NodeId } from './node.js';

/**
 * Active health checks of nodes: what a probe found, what follows from several of them, and what the health service
 * tells others. It is evidence: the registry alone makes a status of it.
 */
const Time = z.string();

/** What one `GET /health` found. */
export const PROBE_RESULTS = [
  'ok', // 200, and the node says that it is ready
  'refused', // nobody listens at its address, or there is no such address
  'reset', // the connection broke before the answer was whole
  'timeout', // no whole answer in time
  'not-ready', // 503; the checks that failed are named
  'busy', // 429 or 503 with Retry-After: alive and asking for patience, neither a pass nor a failure
  'bad-status', // any other status
  'garbled', // an answer that is no health report, or the report of somebody else
] as const;
export const ProbeResult = z.enum(PROBE_RESULTS);
export type ProbeResult = z.infer<typeof ProbeResult>;

/** Nobody answered; of the other failures the process at least is there. */
export const UNANSWERED: readonly ProbeResult[] = ['refused', 'reset', 'timeout'];

/** `unknown` until enough results in a row have said one or the other; it is never taken for healthy. */
export const CheckedState = z.enum(['unknown', 'up', 'down']);
export type CheckedState = z.infer<typeof CheckedState>;

/** What `GET /health` of a process answers. Names of checks are the process's own; a failed one has `ok: false`. */
export const HealthBody = z.object({
  status: z.enum(['ready', 'not-ready']),
  /** Nodes say who they are: another process may have got the port of one that is gone. */
  nodeId: NodeId.optional(),
  incarnation: Counter.optional(),
  checks: z.record(z.string(), z.looseObject({ ok: z.boolean() })),
});
export type HealthBody = z.infer<typeof HealthBody>;

export const Probed = z.object({
  at: Time,
  result: ProbeResult,
  /** How long the probe took. */
  ms: z.number().nonnegative(),
  /** Names of the checks that failed. */
  failed: z.array(z.string()).optional(),
});
export type Probed = z.infer<typeof Probed>;

/** Results of the same kind without another between them. */
export const Consecutive = z.object({
  outcome: z.enum(['pass', 'fail', 'none']),
  count: z.number().int().nonnegative(),
});
export type Consecutive = z.infer<typeof Consecutive>;

/** A node's checks have begun to pass, or to fail. Of one node the greatest (incarnation, seq) counts. */
export const HealthChanged = z.object({
  nodeId: NodeId,
  incarnation: Incarnation,
  health: z.enum(['up', 'down']),
  /** The last result that counted; null goes with up. */
  reason: ProbeResult.nullable(),
  /** The health instance that probes this node. */
  observer: z.string(),
  /**
   * Rises with every change, whoever observes: greater than any that was heard of, and at least the wall clock, so
   * that an instance which could not learn the last one is believed all the same.
   */
  seq: Counter.positive(),
  evidence: z.record(z.string(), z.unknown()),
  at: Time,
});
export type HealthChanged = z.infer<typeof HealthChanged>;

/**
 * Sign of life of a health instance, repeated: the others share its nodes when it falls silent. It names the nodes
 * that it holds down: evidence that nobody renews ends by itself.
 */
export const HealthStanding = z.object({
  instanceId: z.string(),
  /** It stops: its nodes are to be taken over at once. */
  leaving: z.boolean(),
  down: z.array(HealthChanged),
});
export type HealthStanding = z.infer<typeof HealthStanding>;

export const CheckTransition = z.object({
  incarnation: Counter,
  seq: Counter.positive(),
  from: CheckedState,
  to: CheckedState,
  reason: ProbeResult.nullable(),
  observer: z.string(),
  evidence: z.record(z.string(), z.unknown()).nullish(),
  at: Time,
});
export type CheckTransition = z.infer<typeof CheckTransition>;

export const HealthReportRequest = z.object({ nodeId: NodeId });
/** What the checks of one node have found lately, the newest first. */
export const HealthReport = z.object({
  nodeId: NodeId,
  incarnation: Counter,
  state: CheckedState,
  reason: ProbeResult.nullable(),
  consecutive: Consecutive,
  observer: z.string(),
  recent: z.array(Probed),
  transitions: z.array(CheckTransition),
});
export type HealthReport = z.infer<typeof HealthReport>;

export const HealthListReply = z.object({ nodes: z.array(HealthChanged) });
export type HealthListReply = z.infer<typeof HealthListReply>;
