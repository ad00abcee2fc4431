import { z } from 'zod';
import { ElectionsReply, HandoverReply, NodeTransition } from '../bus/subjects.js';
import { WireOperation } from '../change.js';
import { ConsistencyCheckReply, ConsistencyReport } from '../consistency.js';
import { HealthReport } from '../health.js';
import { CONTENT_TYPES } from '../http/content-type.js';
import type { ChangeSetResult, DeleteResult, PutResult } from '../http/public-api.js';
import { NODE_ROLES, NODE_STATUSES, NodeId, STATUS_REASONS } from '../node.js';
import { HoldReply, NodeHold, RecoveriesReply, RecoveryStep, RestartReply } from '../recovery.js';
import { SyncReport } from '../sync.js';

/** Answers of the public interface. They only ever grow: a client ignores members that it does not know. */

const Version = z.number().int().nonnegative();
const Term = z.number().int().nonnegative();
const Time = z
  .string()
  .meta({ format: 'date-time', description: "UTC, milliseconds, by the database's clock." });
const Checksum = z
  .string()
  .meta({ description: '`sha256:` and 64 hex digits, over the bytes of the value.' });
const Type = z.enum(CONTENT_TYPES);
const Cursor = z.string().meta({ description: 'Present when there is more.' }).optional();
const Encoded = {
  value: z.string().optional(),
  encoding: z.literal('base64').meta({ description: 'Present when the value is not UTF-8 text.' }).optional(),
};

export const PutAnswer = z.object({
  namespace: z.string(),
  key: z.string(),
  version: Version,
  term: Term,
  checksum: Checksum,
  createdAt: Time,
}) satisfies z.ZodType<PutResult>;

export const DeleteAnswer = z.object({
  namespace: z.string(),
  key: z.string(),
  version: Version,
  term: Term,
  createdAt: Time,
}) satisfies z.ZodType<DeleteResult>;

export const ChangeSetAnswer = z.object({
  version: Version,
  term: Term,
  createdAt: Time,
  results: z.array(
    z.object({ namespace: z.string(), key: z.string(), op: z.enum(['put', 'delete']), version: Version }),
  ),
}) satisfies z.ZodType<ChangeSetResult>;

export const ListAnswer = z.object({
  version: Version.meta({ description: 'The one version that all pages show.' }),
  items: z.array(
    z.object({
      key: z.string(),
      ...Encoded,
      contentType: Type,
      version: Version.meta({ description: "The key's last change: its entity tag." }),
      checksum: Checksum,
      updatedAt: Time,
    }),
  ),
  cursor: Cursor,
});

export const NamespacesAnswer = z.object({
  version: Version,
  namespaces: z.array(z.object({ name: z.string(), keys: z.number().int().positive() })),
  cursor: Cursor,
});

/** One change set, in the log, in a watch's `change` events and in long polls. */
export const ChangeAnswer = z.object({
  version: Version,
  term: Term,
  author: z.string().nullable(),
  comment: z.string().nullable(),
  createdAt: Time,
  operations: z.array(WireOperation),
  lost: z
    .object({ from: Version, to: Version })
    .meta({ description: 'Only in the log: these versions were lost by the database.' })
    .optional(),
});

export const ChangesAnswer = z.object({
  changes: z.array(ChangeAnswer),
  head: Version.meta({ description: 'The last version known.' }),
});

export const LongPollAnswer = z.object({
  version: Version.meta({
    description: 'Nothing that matches up to here is still to come: the next `from`.',
  }),
  changes: z.array(ChangeAnswer),
});

export const HistoryAnswer = z.object({
  namespace: z.string(),
  key: z.string(),
  items: z.array(
    z.object({
      version: Version,
      term: Term,
      op: z.enum(['put', 'delete']),
      contentType: Type.nullable(),
      checksum: Checksum.nullable(),
      sizeBytes: z.number().int().nonnegative(),
      author: z.string().nullable(),
      comment: z.string().nullable(),
      createdAt: Time,
    }),
  ),
  cursor: Cursor,
});

const NodeAnswer = z.object({
  id: NodeId,
  role: z.enum(NODE_ROLES),
  status: z.enum(NODE_STATUSES),
  reason: z.enum(STATUS_REASONS).nullable(),
  address: z.string().nullable(),
  version: Version,
  lag: Version.meta({ description: 'In versions, against the highest version heard.' }),
  lastHeartbeatAt: z.string().nullable(),
  incarnation: z.number().int(),
  metadata: z.record(z.string(), z.string()),
});

export const ClusterAnswer = z.object({
  clusterId: z.string().nullable(),
  term: Term,
  leaderId: NodeId.nullable(),
  version: Version,
  electedAt: z.string().nullable(),
  nodes: z.array(NodeAnswer),
});

export const NodeDetailAnswer = NodeAnswer.extend({
  transitions: z.array(NodeTransition),
  health: HealthReport.omit({ nodeId: true, incarnation: true })
    .nullable()
    .meta({ description: 'What its health checks have found lately; null when nobody could be asked.' }),
  hold: NodeHold.nullable().meta({ description: 'Whether it is, or was, drained or quarantined.' }),
  recoveries: z.array(RecoveryStep).meta({ description: 'The last steps of its recoveries, newest first.' }),
});

export const ElectionsAnswer = ElectionsReply;
export const HandoverAnswer = HandoverReply;
export const HoldAnswer = HoldReply;
export const RestartAnswer = RestartReply;
export const RecoveriesAnswer = RecoveriesReply;
export const ConsistencyAnswer = ConsistencyReport;
export const ConsistencyCheckAnswer = ConsistencyCheckReply;
export const SyncAnswer = SyncReport;

export const ProblemAnswer = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string().meta({ description: 'Stable: what a program decides by.' }),
  detail: z.string(),
  instance: z.string().optional(),
});
