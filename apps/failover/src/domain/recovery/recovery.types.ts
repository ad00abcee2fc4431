import type { RecoveryState } from '#libs/contracts';
import type { BackoffPolicy } from '#libs/kernel';
import type { FlapScore, FlapSettings } from '../detection/flap-score.js';

/** Where one node's recovery stands: a row. Times are milliseconds of Postgres' clock. */
export interface RecoveryRow {
  nodeId: string;
  /** Steps told so far. */
  seq: number;
  state: RecoveryState;
  /** The incarnation that failed, or that was restarted on purpose. */
  incarnation: number;
  /** The last verdict that was taken note of. */
  verdictSeq: number;
  attempt: number;
  planned: boolean;
  why: StepReason;
  by: string;
  beganAtMs: number;
  /** When the state ends if nothing happens. */
  dueAtMs: number;
  flaps: FlapScore;
}

export type StepReason =
  | 'process-down' // waiting: the verdict
  | 'unresponsive' // waiting: the verdict
  | 'released' // waiting, verifying: its quarantine ended
  | 'not-restarted' // waiting: the driver did not do it
  | 'not-back-in-time' // waiting: it did not answer as it should
  | 'did-not-come-back' // restarting
  | 'by-operator' // restarting
  | 'came-back' // verifying: by itself
  | 'restarted' // verifying: the driver did it
  | 'owner-silent' // verifying: who was to restart it has not said what came of it
  | 'ready' // catching-up
  | 'level' // healthy
  | 'stopped-on-purpose' // healthy: it announced its end, and nobody is to undo that
  | 'retries-used-up' // timed-out
  | 'out-of-time' // timed-out
  | 'flapping'; // quarantined

/** What keeps a node out of the rotation: a row. */
export interface HoldRow {
  nodeId: string;
  seq: number;
  drained: boolean;
  quarantinedUntilMs: number | null;
  /** Quarantines in a row. */
  quarantines: number;
  by: string;
  why: string;
  atMs: number;
}

/** The verdict that stands on a node: a row, the same for every instance. */
export interface VerdictRow {
  nodeId: string;
  incarnation: number;
  seq: number;
  failed: boolean;
  reason: string | null;
  /** Another witness had seen it too. */
  confirmed: boolean;
  /** The node had said that it stops. */
  announced: boolean;
}

/** What this instance sees of a node by itself. */
export interface ObservedNode {
  nodeId: string;
  incarnation: number;
  voter: boolean;
  /** It answered the latest ping, as this incarnation. */
  answers: boolean;
  /** Good answers of its /health in a row, in this incarnation. */
  healthPasses: number;
  /** It says that it has applied what the head lately was. */
  level: boolean;
  /** This incarnation has said that it stops. */
  announcedStop: boolean;
}

/** All that a plan is made from. It may be carried out only while the rows are still what they were. */
export interface RecoveryInput {
  nowMs: number;
  /** Live witnesses, this one included. */
  witnesses: number;
  nodes: readonly ObservedNode[];
  recoveries: ReadonlyMap<string, RecoveryRow>;
  holds: ReadonlyMap<string, HoldRow>;
  verdicts: ReadonlyMap<string, VerdictRow>;
}

export interface RecoverySettings {
  instanceId: string;
  /** Whether anything could start a node again that does not answer. */
  hasDriver: boolean;
  maxRetries: number;
  backoff: BackoffPolicy;
  /** How long whoever runs the processes has to start one again before it is done from here. */
  selfRestartMs: number;
  /** How long a driver may take, and the instance that asked it may be silent. */
  restartMs: number;
  /** How long a node may take to answer as it should. */
  verifyMs: number;
  /** The whole recovery. */
  timeoutMs: number;
  /** Good answers of /health in a row that show that a node is well. */
  healthPasses: number;
  flaps: FlapSettings;
}

/** An order to restart, for the instance whose plan it was. */
export interface RestartOrder {
  nodeId: string;
  incarnation: number;
  /** It answers: it can be asked to restart itself. */
  answers: boolean;
}

export interface RecoveryAlert {
  name: 'RecoveryTimeout' | 'NodeQuarantined';
  nodeId: string;
  seq: number;
  summary: string;
}

/** What is to be written, all or nothing, and then done. */
export interface RecoveryPlan {
  /** Each with the next `seq` of its node: written, kept as history, and told. */
  steps: RecoveryRow[];
  /** Only written: what was taken note of moves nothing. */
  notes: RecoveryRow[];
  holds: HoldRow[];
  alerts: RecoveryAlert[];
  restarts: RestartOrder[];
}
