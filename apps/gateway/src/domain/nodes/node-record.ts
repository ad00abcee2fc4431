import type { NodeRole, NodeStatus, StatusReason } from '#libs/contracts';
import type { Candidate } from './candidate.js';

/** What this gateway knows of one node. */
export interface NodeRecord {
  id: string;
  address: string | null;
  role: NodeRole | null;
  status: NodeStatus | null;
  reason: StatusReason | null;
  incarnation: number;
  statusSeq: number;
  heartbeatSeq: number;
  version: number;
  term: number;
  lastHeartbeatAt: string | null;
  metadata: Record<string, string>;
  /** Named in the settings: it stays known even when the registry does not list it. */
  seed: boolean;
  /** The registry has told of it. */
  registered: boolean;
  /** Of the newest verdict heard: an older one may be published again from its row. */
  verdictSeq: number;
  /** Failover judged this incarnation failed, at that time. */
  judged: { incarnation: number; atMs: number } | null;
  /** A connection from here broke or could not be made, at that time. */
  brokenAtMs: number | null;
  /** What the latest probe or request from here saw; null before the first. */
  answers: boolean | null;
  /** A weight in its metadata that cannot be one. */
  weightFault: string | null;
  /** As which it is asked; null while its address is not known. */
  candidate: Candidate | null;
}

/** A node of which only the name is known. */
export function blankRecord(id: string): NodeRecord {
  return {
    id,
    address: null,
    role: null,
    status: null,
    reason: null,
    incarnation: 0,
    statusSeq: 0,
    heartbeatSeq: -1,
    version: 0,
    term: 0,
    lastHeartbeatAt: null,
    metadata: {},
    seed: false,
    registered: false,
    verdictSeq: 0,
    judged: null,
    brokenAtMs: null,
    answers: null,
    weightFault: null,
    candidate: null,
  };
}
