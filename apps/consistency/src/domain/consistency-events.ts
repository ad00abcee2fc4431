import type { ConsistencyChecked, ConsistencyRepaired, Difference } from '#libs/contracts';
import { CONFIG_ENTRIES } from '#libs/contracts';
import type { Pin } from './comparison/pin.js';
import type { NodeOutcome } from './comparison/round.js';
import type { ConsistencyTransition } from './consistency-states.js';
import type { RepairPlan } from './repair-plan.js';

/** As it is published, from its row. */
export interface ConsistencyEvent {
  id: string;
  subject: string;
  payload: unknown;
}

export interface Reporter {
  observer: string;
  /** RFC 3339, and the same in milliseconds. */
  at: string;
  wallMs: number;
}

const MAX_DIFFERENCES = 100;

/** What the world is events when a node's result changes, or does not for too long. */
export function eventsFor(
  transition: ConsistencyTransition,
  pin: Pin,
  reporter: Reporter,
): ConsistencyEvent[] {
  if (transition.type === 'stays-unknown') {
    const { nodeId, reason, forMs } = transition;
    const what = `its state could not be compared for ${Math.round(forMs / 1_000)} s: ${reason}`;
    return [alert('consistency.unknown', 'warning', what, nodeId, reporter)];
  }
  const { outcome, from } = transition;
  const { nodeId, result, reason, differences } = outcome;
  const checked: ConsistencyChecked = {
    ...{ nodeId, from, result, reason, ...pin, differences: differences.slice(0, MAX_DIFFERENCES) },
    ...{ observer: reporter.observer, at: reporter.at },
  };
  const id = `consistency.checked/${nodeId}/${reporter.wallMs}`;
  const events: ConsistencyEvent[] = [{ id, subject: 'consistency.checked', payload: checked }];
  if (result === 'mismatch')
    events.push(alert('consistency.mismatch', 'critical', mismatchOf(outcome, pin), nodeId, reporter));
  return events;
}

/** Besides each repair: that the whole state is replaced, or would be, is for an operator to look at. */
export function repairEvent(
  nodeId: string,
  plan: RepairPlan['type'],
  repairs: readonly ConsistencyRepaired[],
  reporter: Reporter,
): ConsistencyEvent[] {
  const events = repairs.map((repaired, index): ConsistencyEvent => {
    const id = `consistency.repaired/${nodeId}/${reporter.wallMs}/${index}`;
    return { id, subject: 'consistency.repaired', payload: repaired };
  });
  if (plan === 'resync')
    events.push(alert('consistency.resync', 'critical', 'its whole state is loaded anew', nodeId, reporter));
  if (plan === 'resting') {
    const what = 'its state is wrong again although it was loaded anew a moment ago: nothing is done';
    events.push(alert('consistency.stuck', 'critical', what, nodeId, reporter));
  }
  return events;
}

/** What the leader found in the database itself. */
export function entriesEvents(
  repaired: ConsistencyRepaired,
  findingId: number,
  reporter: Reporter,
): ConsistencyEvent[] {
  const id = `consistency.repaired/${CONFIG_ENTRIES}/${findingId}`;
  const { difference, outcome } = repaired;
  const what = `${difference?.namespace}/${difference?.key} was not what the log says: ${difference?.class}, ${outcome}`;
  return [
    { id, subject: 'consistency.repaired', payload: repaired },
    alert('consistency.entries', 'critical', what, CONFIG_ENTRIES, reporter, `/${findingId}`),
  ];
}

function alert(
  name: string,
  severity: 'warning' | 'critical',
  summary: string,
  node: string,
  { at, wallMs }: Reporter,
  suffix = '',
): ConsistencyEvent {
  const payload = { name, severity, summary, labels: { node }, at };
  return { id: `${name}/${node}/${wallMs}${suffix}`, subject: `alert.raised.${severity}`, payload };
}

function mismatchOf({ differences, more }: NodeOutcome, { version }: Pin): string {
  const names = differences.slice(0, 3).map(nameAndClass).join(', ');
  const others = differences.length + more - 3;
  return `its state at version ${version} is not that of the change log: ${names}${others > 0 ? ` and ${others} more` : ''}`;
}

function nameAndClass({ namespace, key, class: kind }: Difference): string {
  return kind === 'digest' ? `digest of bucket ${key}` : `${namespace}/${key} ${kind}`;
}
