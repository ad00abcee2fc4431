import {
  ANY_NAMESPACE,
  HistoryRetention,
  isReservedNamespace,
  parseSystemValue,
  type RetentionRule,
} from '#libs/contracts';

/**
 * What of the history may go. Of a key always the oldest operations go first, and one that made the present state of its
 * key never does, unless it is a deletion. What is left of a key is therefore right as far as it reaches; and from the
 * *floor* on, one behind the highest version at which something removed was still the state, the log is whole: it can be
 * replayed, and the state at every version can be told. (As etcd compacts, but key by key.)
 *
 * Nothing is removed that a node seen lately has yet to apply, that nodes hold in memory anyway, or that is so young that
 * a client may still repeat the request that led to it.
 */

/** A registered node that was heard of; times are those of one clock. */
export interface NodePosition {
  nodeId: string;
  version: number;
  seenAtMs: number;
}

export interface RetentionBounds {
  /** The latest versions, which always stay. */
  windowVersions: number;
  /** What is younger always stays. */
  protectedMs: number;
  /** A node that was seen so lately may still replay the log. */
  nodeSeenWithinMs: number;
  /** If none was seen so lately, nobody keeps the positions up to date. */
  positionsFreshMs: number;
}

const DAY_MS = 86_400_000;

export const RETENTION_BOUNDS: RetentionBounds = {
  windowVersions: 100_000,
  protectedMs: DAY_MS,
  nodeSeenWithinMs: DAY_MS,
  positionsFreshMs: 600_000,
};

export type HeldBack =
  | 'no-rules'
  | 'rules-invalid'
  | 'positions-unreadable'
  | 'positions-stale'
  | 'node-behind'
  | 'window'
  | 'recent';
export const HELD_BACK: readonly HeldBack[] = [
  'no-rules',
  'rules-invalid',
  'positions-unreadable',
  'positions-stale',
  'node-behind',
  'window',
  'recent',
];

export interface RetentionInput {
  head: number;
  /** The highest version that is `protectedMs` old; 0 = none. */
  agedVersion: number;
  positions: readonly NodePosition[];
  /** By the database's clock. */
  nowMs: number;
}

/** `upTo`: the highest version that may be removed; what holds it back there has a name. */
export type RetentionPlan = { upTo: number; heldBack: HeldBack; nodeId?: string };

/** How far the history may be removed at all, whatever the rules. */
export function planRetention(
  input: RetentionInput,
  bounds: RetentionBounds = RETENTION_BOUNDS,
): RetentionPlan {
  const { head, agedVersion, positions, nowMs } = input;
  // The positions are judged by the clock of whoever wrote them: only how fresh they are compares two.
  const newestMs = Math.max(...positions.map(({ seenAtMs }) => seenAtMs));
  if (!(Math.abs(nowMs - newestMs) <= bounds.positionsFreshMs))
    return { upTo: 0, heldBack: 'positions-stale' };
  const candidates: RetentionPlan[] = [
    { upTo: head - bounds.windowVersions, heldBack: 'window' },
    { upTo: agedVersion, heldBack: 'recent' },
    ...positions
      .filter(({ seenAtMs }) => newestMs - seenAtMs <= bounds.nodeSeenWithinMs)
      .map(({ nodeId, version }): RetentionPlan => ({ upTo: version, heldBack: 'node-behind', nodeId })),
  ];
  const lowest = candidates.reduce((a, b) => (b.upTo < a.upTo ? b : a));
  return { ...lowest, upTo: Math.max(0, lowest.upTo) };
}

/** What the operators' key says; undefined = there is no such key. */
export function readRules(value: Buffer | undefined): HistoryRetention | 'no-rules' | 'rules-invalid' {
  if (value === undefined) return 'no-rules';
  const parsed = parseSystemValue(HistoryRetention, value.toString('utf8'));
  return 'fault' in parsed ? 'rules-invalid' : parsed.value;
}

/** The rule of a namespace; undefined = all of its history is kept. */
export function ruleOf(retention: HistoryRetention, namespace: string): RetentionRule | undefined {
  const own = Object.hasOwn(retention.namespaces, namespace) ? retention.namespaces[namespace] : undefined;
  const rule = own ?? (isReservedNamespace(namespace) ? undefined : retention.namespaces[ANY_NAMESPACE]);
  return rule?.maxAgeDays === undefined && rule?.maxVersionsPerKey === undefined ? undefined : rule;
}

export function maxAgeMs({ maxAgeDays }: RetentionRule): number | undefined {
  return maxAgeDays === undefined ? undefined : maxAgeDays * DAY_MS;
}

/** An operation of one key. */
export interface KeyOperation {
  version: number;
  op: 'put' | 'delete';
  /** The version of the key's next operation; null when it is the last one. */
  supersededBy: number | null;
}

/** What the rule of its namespace means for one key. */
export interface KeyCut {
  /** Of the plan. */
  upTo: number;
  /** The highest version that is as old as the rule demands; null = age does not count. */
  agedVersion: number | null;
  /** The lowest version among those that stay by their number; null = their number does not count. */
  keepFrom: number | null;
}

/** Up to which version an operation was what stands in the state; a deletion leaves nothing that could stand. */
export function stateUntil({ version, op, supersededBy }: KeyOperation): number {
  return supersededBy ?? (op === 'delete' ? version : Number.POSITIVE_INFINITY);
}

/** Of a key's operations, oldest first and without a gap from its oldest on: those that go. Always the first ones. */
export function removable<Operation extends KeyOperation>(
  operations: readonly Operation[],
  { upTo, agedVersion, keepFrom }: KeyCut,
): Operation[] {
  const stays = operations.findIndex((operation) => {
    const until = stateUntil(operation);
    const isOld = agedVersion !== null && until <= agedVersion;
    const isSurplus = keepFrom !== null && operation.supersededBy !== null && operation.version < keepFrom;
    return until > upTo || !(isOld || isSurplus);
  });
  return stays < 0 ? [...operations] : operations.slice(0, stays);
}
