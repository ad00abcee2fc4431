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

const MAX_TOLD = 100;

/** What the world is told when a node's result changes, or does not for too long. */
export function eventsFor(news: ConsistencyTransition, pin: Pin, teller: Reporter): ConsistencyEvent[] {
  if (news.type === 'stays-unknown') {
    const { nodeId, reason, forMs } = news;
    const what = `its state could not be compared for ${Math.round(forMs / 1_000)} s: ${reason}`;
    return [alert('consistency.unknown', 'warning', what, nodeId, teller)];
  }
  const { outcome, from } = news;
  const { nodeId, result, reason, differences } = outcome;
  const checked: ConsistencyChecked = {
    ...{ nodeId, from, result, reason, ...pin, differences: differences.slice(0, MAX_TOLD) },
    ...{ observer: teller.observer, at: teller.at },
  };
  const id = `consistency.checked/${nodeId}/${teller.wallMs}`;
  const told: ConsistencyEvent[] = [{ id, subject: 'consistency.checked', payload: checked }];
  if (result === 'mismatch')
    told.push(alert('consistency.mismatch', 'critical', mismatchOf(outcome, pin), nodeId, teller));
  return told;
}

/** Besides each repair: that the whole state is replaced, or would be, is for an operator to look at. */
export function repairEvent(
  nodeId: string,
  plan: RepairPlan['type'],
  repairs: readonly ConsistencyRepaired[],
  teller: Reporter,
): ConsistencyEvent[] {
  const told = repairs.map((repaired, index): ConsistencyEvent => {
    const id = `consistency.repaired/${nodeId}/${teller.wallMs}/${index}`;
    return { id, subject: 'consistency.repaired', payload: repaired };
  });
  if (plan === 'resync')
    told.push(alert('consistency.resync', 'critical', 'its whole state is loaded anew', nodeId, teller));
  if (plan === 'resting') {
    const what = 'its state is wrong again although it was loaded anew a moment ago: nothing is done';
    told.push(alert('consistency.stuck', 'critical', what, nodeId, teller));
  }
  return told;
}

/** What the leader found in the database itself. */
export function entriesEvents(
  repaired: ConsistencyRepaired,
  findingId: number,
  teller: Reporter,
): ConsistencyEvent[] {
  const id = `consistency.repaired/${CONFIG_ENTRIES}/${findingId}`;
  const { difference, outcome } = repaired;
  const what = `${difference?.namespace}/${difference?.key} was not what the log says: ${difference?.class}, ${outcome}`;
  return [
    { id, subject: 'consistency.repaired', payload: repaired },
    alert('consistency.entries', 'critical', what, CONFIG_ENTRIES, teller, `/${findingId}`),
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
  return `its state at version ${version} is not the truth: ${names}${others > 0 ? ` and ${others} more` : ''}`;
}

function nameAndClass({ namespace, key, class: kind }: Difference): string {
  return kind === 'digest' ? `digest of bucket ${key}` : `${namespace}/${key} ${kind}`;
}
