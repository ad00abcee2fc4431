import { z } from 'zod';
import { ChainHex, WireChange } from '../change.js';
import {
  ConsistencyChecked,
  ConsistencyCheckReply,
  ConsistencyCheckRequest,
  ConsistencyRepaired,
  ConsistencyReport,
} from '../consistency.js';
import {
  HealthChanged,
  HealthListReply,
  HealthReport,
  HealthReportRequest,
  HealthStanding,
} from '../health.js';
import {
  Incarnation,
  Metadata,
  NODE_ROLES,
  NODE_STATUSES,
  NodeAddress,
  NodeId,
  NodeInfo,
  STATUS_REASONS,
} from '../node.js';
import {
  DrainRequest,
  HoldReply,
  HoldsReply,
  NodeHold,
  RecoveriesReply,
  RecoveriesRequest,
  RecoveryStep,
  ReleaseRequest,
  RestartReply,
  RestartRequest,
} from '../recovery.js';
import { SyncDiverged, SyncLagging, SyncLevel, SyncReport } from '../sync.js';
import { Counter } from './counters.js';

/**
 * The subjects of the bus: one schema each, the plain payload in JSON, CloudEvents attributes in the headers.
 * Payloads only ever grow: a receiver ignores fields that it does not know.
 */
const Version = Counter;
const Term = Counter;
const Time = z.string();

/** Where a history stands. Equal (version, chain) means equal history. */
export const Head = z.object({ term: Term, version: Version, chain: ChainHex });
export type Head = z.infer<typeof Head>;

// ---- facts ---------------------------------------------------------------------------------------------------

export const NodeHeartbeat = z.object({
  nodeId: NodeId,
  incarnation: Incarnation,
  /** Counts up within an incarnation; a receiver drops what is not greater. */
  seq: Counter,
  kind: z.enum(['config-node', 'service']).optional(),
  role: z.enum(NODE_ROLES).optional(),
  address: NodeAddress.optional(),
  term: Term.optional(),
  /** The database that the history belongs to. */
  clusterId: z.string().nullish(),
  version: Version.optional(),
  chain: ChainHex.optional(),
  /** What the node says of itself; the registry decides the status. */
  condition: z.enum(['ok', 'syncing', 'stale', 'overloaded', 'wrong-database', 'stopping']).optional(),
  /** Leaders: how long ago Postgres last confirmed that this node may write. */
  fenceConfirmedAgoMs: z.number().nonnegative().nullish(),
  metadata: Metadata.optional(),
});
export type NodeHeartbeat = z.infer<typeof NodeHeartbeat>;

export const NodeRegistered = z.object({ node: NodeInfo });
export const NodeDeregistered = z.object({ nodeId: NodeId, incarnation: Incarnation, at: Time });

export const NodeStatusChanged = z.object({
  nodeId: NodeId,
  incarnation: Incarnation,
  /** Counts up for ever per node; a receiver applies only what is greater. */
  statusSeq: Counter.positive(),
  from: z.enum(NODE_STATUSES).nullable(),
  to: z.enum(NODE_STATUSES),
  reason: z.enum(STATUS_REASONS).nullable(),
  /** All that stood for or against the member when its status was given. */
  evidence: z.record(z.string(), z.unknown()).nullish(),
  at: Time,
});
export type NodeStatusChanged = z.infer<typeof NodeStatusChanged>;

export const VERDICT_REASONS = [
  'process-down',
  'unresponsive',
  'bus-partitioned',
  'unreachable',
  'cannot-lead',
  'handover',
] as const;
export type VerdictReason = (typeof VERDICT_REASONS)[number];

/** Evidence against a node, from failover to the registry. `failed` or `degraded` according to the reason; `clear` ends it. */
export const NodeVerdict = z.object({
  nodeId: NodeId,
  incarnation: Incarnation,
  verdict: z.enum(['failed', 'degraded', 'clear']),
  reason: z.enum(VERDICT_REASONS).nullable(),
  /**
   * Counts up for ever per node: a fact is published again from its row, so an older one may come after a newer one.
   * A receiver applies what is not less. Absent when it could not be recorded.
   */
  seq: Counter.positive().optional(),
  /** The failover instance that judged, and those that confirmed. */
  judgedBy: z.string(),
  confirmedBy: z.array(z.string()),
  evidence: z.record(z.string(), z.unknown()),
  at: Time,
});
export type NodeVerdict = z.infer<typeof NodeVerdict>;

export const ElectionTimings = z.object({
  /** From the first evidence to the verdict. */
  detectMs: z.number().nonnegative(),
  /** From the verdict to the claim. */
  electMs: z.number().nonnegative(),
});

export const LeaderElected = z.object({
  term: Term,
  leaderId: NodeId,
  leaderAddress: NodeAddress,
  incarnation: Incarnation,
  previousLeaderId: NodeId.nullable(),
  version: Version,
  reason: z.enum([...VERDICT_REASONS, 'first']),
  timings: ElectionTimings,
  at: Time,
});
export type LeaderElected = z.infer<typeof LeaderElected>;

export const LeaderLost = z.object({ nodeId: NodeId, term: Term, reason: z.string(), at: Time });
export type LeaderLost = z.infer<typeof LeaderLost>;

/**
 * How long ago the database last confirmed that the leader leads, in ms: as of then its head was the history's. Null:
 * nothing confirms it. Absent from leaders that do not tell.
 */
const ConfirmedAgoMs = z.number().nonnegative().nullish();

/**
 * Contiguous changes, as they were committed. A change too large for the bus is left out, and with it all that
 * follow in the message: whoever is then behind `head` fetches them over HTTP.
 */
export const SyncChanges = z.object({
  leaderId: NodeId,
  head: Head,
  changes: z.array(WireChange),
  confirmedAgoMs: ConfirmedAgoMs,
});
export type SyncChanges = z.infer<typeof SyncChanges>;

export const SyncHead = Head.extend({ leaderId: NodeId, confirmedAgoMs: ConfirmedAgoMs });
export type SyncHead = z.infer<typeof SyncHead>;

export const ConfigChanged = z.object({
  namespace: z.string(),
  version: Version,
  term: Term,
  author: z.string().nullable(),
  comment: z.string().nullable(),
  createdAt: Time,
  /** The first ones, when `truncated`. */
  keys: z.array(z.object({ key: z.string(), op: z.enum(['put', 'delete']) })),
  /** Of all keys that the change touched in the namespace. */
  keyCount: z.number().int().nonnegative().optional(),
  /** There are more keys than a message holds: the change itself has them all. */
  truncated: z.literal(true).optional(),
});

export const AlertRaised = z.object({
  name: z.string(),
  severity: z.enum(['info', 'warning', 'critical']),
  summary: z.string(),
  labels: z.record(z.string(), z.string()),
  at: Time,
});

/** Subject -> payload. `durable` facts are kept in the JetStream stream and published again from their rows. */
export const EVENTS = {
  'node.heartbeat': {
    schema: NodeHeartbeat,
    durable: false,
    meaning: 'A member is alive, and where it stands.',
  },
  'node.registered': {
    schema: NodeRegistered,
    durable: true,
    meaning: 'A member joined, or came back as a new incarnation.',
  },
  'node.deregistered': { schema: NodeDeregistered, durable: true, meaning: 'A member left for good.' },
  'node.status': {
    schema: NodeStatusChanged,
    durable: true,
    meaning: 'The registry changed the status of a member.',
  },
  'node.failed': {
    schema: NodeVerdict,
    durable: true,
    meaning: 'Failover judged a node failed or degraded.',
  },
  'node.recovered': {
    schema: NodeVerdict,
    durable: true,
    meaning: 'Failover withdrew its judgement of a node.',
  },
  'node.hold': {
    schema: NodeHold,
    durable: true,
    meaning: 'A node was drained or quarantined, or is no longer.',
  },
  'health.changed': {
    schema: HealthChanged,
    durable: true,
    meaning: 'The checks of a node began to pass or to fail.',
  },
  'health.standing': {
    schema: HealthStanding,
    durable: false,
    meaning: 'A health instance is alive, and which nodes it holds down; repeated.',
  },
  'recovery.step': {
    schema: RecoveryStep,
    durable: true,
    meaning: 'A failed or restarted node came a step nearer to being healthy, or was given up.',
  },
  'leader.elected': { schema: LeaderElected, durable: true, meaning: 'A term began.' },
  'leader.lost': {
    schema: LeaderLost,
    durable: true,
    meaning: 'A leader stepped down or was found unable to lead.',
  },
  'sync.changes': { schema: SyncChanges, durable: false, meaning: 'Changes were committed.' },
  'sync.head': { schema: SyncHead, durable: false, meaning: 'Where the leader stands; repeated.' },
  'consistency.checked': {
    schema: ConsistencyChecked,
    durable: true,
    meaning: 'A node began to match, to mismatch, or to be unknown.',
  },
  'consistency.repaired': {
    schema: ConsistencyRepaired,
    durable: true,
    meaning: 'What a node or the state in the database held was set right, or could not be.',
  },
  'sync.lagging': { schema: SyncLagging, durable: false, meaning: 'A node stays behind the head.' },
  'sync.level': { schema: SyncLevel, durable: false, meaning: 'A node that lagged has caught up.' },
  'sync.diverged': {
    schema: SyncDiverged,
    durable: false,
    meaning:
      'The log does not have the history of a node: nothing is pushed to it until it has healed itself.',
  },
} as const;

export type EventSubject = keyof typeof EVENTS;
export type EventPayload<S extends EventSubject> = z.infer<(typeof EVENTS)[S]['schema']>;

/** Families of facts whose subject carries a token: `config.changed.<namespace>`, `alert.raised.<severity>`. */
export const EVENT_FAMILIES = {
  'config.changed': { schema: ConfigChanged, durable: true, meaning: 'Keys of a namespace changed.' },
  'alert.raised': { schema: AlertRaised, durable: true, meaning: 'An alert began.' },
} as const;

/** A namespace as one subject token: its dots would make it several. */
export function namespaceToken(namespace: string): string {
  return namespace.replaceAll('.', '=');
}

// ---- questions -----------------------------------------------------------------------------------------------

export const RegisterRequest = z.object({
  nodeId: NodeId,
  incarnation: Incarnation,
  kind: z.enum(['config-node', 'service']).default('service'),
  role: z.enum(['follower', 'observer']).default('observer'),
  address: NodeAddress.nullish(),
  metadata: Metadata.default({}),
});
export type RegisterRequest = z.input<typeof RegisterRequest>;
/** `accepted: false` names the incarnation that a registration must exceed. */
export const RegisterReply = z.discriminatedUnion('accepted', [
  z.object({
    accepted: z.literal(true),
    node: NodeInfo,
    heartbeatEveryMs: z.number(),
    heartbeatTimeoutMs: z.number(),
  }),
  z.object({ accepted: z.literal(false), exceed: Incarnation }),
]);
export type RegisterReply = z.infer<typeof RegisterReply>;

export const DeregisterRequest = z.object({ nodeId: NodeId, incarnation: Incarnation });
export const ListRequest = z.object({
  status: z.enum(NODE_STATUSES).optional(),
  kind: z.enum(['config-node', 'service']).optional(),
});
export const ListReply = z.object({ nodes: z.array(NodeInfo) });
export const GetNodeRequest = z.object({ nodeId: NodeId });
export const NodeTransition = NodeStatusChanged;
export const GetNodeReply = z.object({ node: NodeInfo, transitions: z.array(NodeTransition) });
export type GetNodeReply = z.infer<typeof GetNodeReply>;

/** Asked of each voter by a failover instance; answered with a fresh successful write check, or a reason why not. */
export const PollRequest = z.object({ askedBy: z.string(), term: Term, suspect: NodeId.nullable() });
export type PollRequest = z.infer<typeof PollRequest>;
export const PollReply = z.object({
  nodeId: NodeId,
  incarnation: Incarnation,
  address: NodeAddress,
  eligible: z.boolean(),
  /** Why not eligible: `observer`, `draining`, `wrong-database`, `storage-unavailable`, `syncing`. */
  reason: z.string().nullable(),
  /** Highest term this node has seen. */
  term: Term,
  version: Version,
  chain: ChainHex,
  /** The highest version that the node ever held, also of a history that the database lost. */
  highestVersion: Version.optional(),
  priority: z.number().int(),
  healthy: z.boolean(),
});
export type PollReply = z.infer<typeof PollReply>;

/** Asked of the other witnesses when one suspects a crash. */
export const WitnessRequest = z.object({
  askedBy: z.string(),
  nodeId: NodeId,
  incarnation: Counter,
  /** What the asker suspects. */
  reason: z.enum(VERDICT_REASONS).optional(),
});
export const WitnessReply = z.object({
  instanceId: z.string(),
  view: z.enum(['connected', 'lost', 'unknown', 'paused']),
  /** Its own evidence says the same as the reason asked about. */
  agrees: z.boolean().optional(),
});

export const PullRequest = z.object({ after: Version, limit: z.number().int().min(1).max(1_000) });
export const PullReply = z.object({ changes: z.array(WireChange), head: Head });
export type PullReply = z.infer<typeof PullReply>;

export const HandoverRequest = z.object({ to: NodeId.optional() });
export const HandoverReply = z.object({ term: Term, leaderId: NodeId, durationMs: z.number() });
export type HandoverReply = z.infer<typeof HandoverReply>;

const Election = z.object({
  term: Term,
  leaderId: NodeId,
  previousLeaderId: NodeId.nullable(),
  version: Version,
  reason: z.string(),
  evidence: z.record(z.string(), z.unknown()),
  electedBy: z.string(),
  electedAt: Time,
  firstWriteAt: Time.nullable(),
  timings: ElectionTimings.extend({ firstWriteMs: z.number().nullable() }),
});
export const ElectionsRequest = z.object({ limit: z.number().int().min(1).max(1_000).default(50) });
export const ElectionsReply = z.object({ elections: z.array(Election) });

/** Subject -> request and reply. `{nodeId}` in `election.poll` is a token of the subject. */
export const REQUESTS = {
  'registry.register': {
    request: RegisterRequest,
    reply: RegisterReply,
    meaning: 'Join, or come back as a new incarnation.',
  },
  'registry.deregister': { request: DeregisterRequest, reply: z.object({}), meaning: 'Leave for good.' },
  'registry.list': {
    request: ListRequest,
    reply: ListReply,
    meaning: 'The members, or those of one status or kind.',
  },
  'registry.get': {
    request: GetNodeRequest,
    reply: GetNodeReply,
    meaning: 'One member with its recent transitions.',
  },
  'election.poll': {
    request: PollRequest,
    reply: PollReply,
    meaning: 'May this voter lead, and how far is its history?',
  },
  'failover.witness': {
    request: WitnessRequest,
    reply: WitnessReply,
    meaning: 'What another witness sees of a node.',
  },
  'failover.handover': {
    request: HandoverRequest,
    reply: HandoverReply,
    meaning: 'Move leadership without failing a write.',
  },
  'failover.elections': {
    request: ElectionsRequest,
    reply: ElectionsReply,
    meaning: 'Past elections, newest first.',
  },
  'failover.holds': {
    request: z.object({}),
    reply: HoldsReply,
    meaning: 'Nodes that are drained or quarantined, and those that were: the greatest seq counts.',
  },
  'failover.drain': {
    request: DrainRequest,
    reply: HoldReply,
    meaning: 'Take a node out of the rotation, or put it back.',
  },
  'failover.restart': {
    request: RestartRequest,
    reply: RestartReply,
    meaning: 'Restart a node on purpose.',
  },
  'failover.release': { request: ReleaseRequest, reply: HoldReply, meaning: 'End a quarantine.' },
  'failover.recoveries': {
    request: RecoveriesRequest,
    reply: RecoveriesReply,
    meaning: 'Past steps of recoveries, of one node or of all, newest first.',
  },
  'health.report': {
    request: HealthReportRequest,
    reply: HealthReport,
    meaning: 'What the checks of a node have found lately.',
  },
  'health.list': {
    request: z.object({}),
    reply: HealthListReply,
    meaning: 'The latest change of every node that is known to the health service.',
  },
  'consistency.check': {
    request: ConsistencyCheckRequest,
    reply: ConsistencyCheckReply,
    meaning: 'Compare all nodes now, at one version; with `repair` set right what is wrong.',
  },
  'consistency.report': {
    request: z.object({}),
    reply: ConsistencyReport,
    meaning: 'What the last checks found and repaired.',
  },
  'sync.report': {
    request: z.object({}),
    reply: SyncReport,
    meaning: 'How far behind the nodes are, and how they are brought up to date.',
  },
  'sync.pull': { request: PullRequest, reply: PullReply, meaning: 'Changes after a version, from any node.' },
} as const;

export type RequestSubject = keyof typeof REQUESTS;
export type RequestPayload<S extends RequestSubject> = z.input<(typeof REQUESTS)[S]['request']>;
export type ReplyPayload<S extends RequestSubject> = z.infer<(typeof REQUESTS)[S]['reply']>;

/**
 * What a member (a foreign service without the cluster key) may say and ask. All else is authoritative: it counts only with
 * the MAC of the cluster. A member speaks for services alone, never for a config node or a service of the cluster itself.
 */
export const MEMBER_SUBJECTS = {
  says: ['node.heartbeat'],
  asks: ['registry.register', 'registry.deregister', 'registry.list', 'registry.get'],
} as const satisfies { says: readonly EventSubject[]; asks: readonly RequestSubject[] };

export function memberMayPublish(subject: EventSubject): boolean {
  return MEMBER_SUBJECTS.says.some((each) => each === subject);
}

export function memberMayRequest(subject: RequestSubject): boolean {
  return MEMBER_SUBJECTS.asks.some((each) => each === subject);
}
