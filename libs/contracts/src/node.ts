import { z } from 'zod';
import { Counter } from './bus/counters.js';

export const NODE_ROLES = ['leader', 'follower', 'candidate', 'observer'] as const;
export type NodeRole = (typeof NODE_ROLES)[number];

export const NODE_STATUSES = ['healthy', 'degraded', 'failed', 'shutting-down'] as const;
export type NodeStatus = (typeof NODE_STATUSES)[number];

/** Why a node has its status; `null` goes with healthy. The same names are log fields and metric labels. */
export const STATUS_REASONS = [
  'syncing', // degraded: new or behind, never yet level with the head
  'stale', // degraded: has not learnt of a head that it has applied
  'overloaded', // degraded: event loop lag or its own health body says so
  'not-ready', // degraded: /health fails again and again although the node is alive
  'bus-partitioned', // degraded: heartbeats silent, pings answered
  'unreachable', // degraded: pings fail, heartbeats arrive
  'cannot-lead', // degraded: a leader that can no longer commit
  'draining', // degraded: taken out of the rotation by an operator
  'recovering', // degraded: restarted, catching up
  'wrong-database', // degraded: its history is not that of the database
  'process-down', // failed: the process is gone
  'unresponsive', // failed: neither heartbeats nor pings
  'quarantined', // failed: failed again and again
  'stopping', // shutting-down: said so itself
] as const;
export type StatusReason = (typeof STATUS_REASONS)[number];

export const NodeId = z
  .string()
  .regex(/^[a-zA-Z0-9](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?$/, 'a node id is 1-63 letters, digits, - and _');
export const Incarnation = Counter.positive();
export const Metadata = z
  .record(z.string().max(64), z.string().max(512))
  .refine((m) => Object.keys(m).length <= 32, 'at most 32 entries');
export const NodeAddress = z.url({ protocol: /^https?$/ }).max(256);

/** What the registry knows of one member. `lag` is in versions, against the highest version heard. */
export const NodeInfo = z.object({
  id: NodeId,
  /** `config-node` holds a replica and may be balanced and elected; `service` is anyone else who registers. */
  kind: z.enum(['config-node', 'service']),
  role: z.enum(NODE_ROLES),
  status: z.enum(NODE_STATUSES),
  reason: z.enum(STATUS_REASONS).nullable(),
  address: NodeAddress.nullable(),
  incarnation: Incarnation,
  statusSeq: Counter,
  version: Counter,
  lag: Counter,
  term: Counter,
  lastHeartbeatAt: z.string().nullable(),
  registeredAt: z.string(),
  metadata: Metadata,
});
export type NodeInfo = z.infer<typeof NodeInfo>;
