import type { RecoveryState } from '#libs/contracts';
import { fullJitterMs, type Rng } from '#libs/kernel';
import { type DisruptionBudget, isQuarantined } from '../disruption-budget.js';
import type { ObservedNode, RecoveryRow, RecoverySettings, StepReason } from './recovery.types.js';

/**
 * One node on its way back. Legal moves, besides a new failure, which leads from anywhere to waiting or quarantined:
 *
 *   waiting -> restarting -> verifying -> catching-up -> healthy
 *      |  \_____________________^ |             |
 *      |<--------------------------'            |        (not back in time, or the driver did not do it)
 *      '-> timed-out <---------------------------'
 *   timed-out -> healthy           it came back after all
 *   quarantined -> waiting, verifying   its quarantine ended
 *
 * What the node is like is looked at before each move: one that came back by itself is not restarted.
 */
export interface Move {
  state: RecoveryState;
  why: StepReason;
  lastsMs: number;
  attempt?: number;
}

export function nextMove(
  node: ObservedNode,
  row: RecoveryRow,
  fleet: DisruptionBudget,
  settings: RecoverySettings,
  rng: Rng,
): Move | undefined {
  const late = fleet.nowMs >= row.dueAtMs;
  switch (row.state) {
    case 'healthy':
      return undefined;
    case 'waiting':
      if (isBack(node, row, fleet) && (row.why !== 'not-back-in-time' || isReady(node, settings))) {
        return verifying('came-back', settings);
      }
      return waited(node, row, fleet, settings);
    case 'restarting':
      if (isBack(node, row, fleet)) return verifying('restarted', settings);
      return late ? verifying('owner-silent', settings) : undefined;
    case 'verifying':
      if (isBack(node, row, fleet) && isReady(node, settings)) {
        return { state: 'catching-up', why: 'ready', lastsMs: settings.timeoutMs };
      }
      return late ? tryAgain(row, 'not-back-in-time', settings, rng) : undefined;
    case 'catching-up':
      if (isWell(node, row, fleet, settings)) return HEALTHY;
      return late ? { state: 'timed-out', why: 'out-of-time', lastsMs: 0 } : undefined;
    case 'timed-out':
      return isWell(node, row, fleet, settings) ? HEALTHY : undefined;
    case 'quarantined':
      if (isQuarantined(fleet.hold(node.nodeId), fleet.nowMs)) return undefined;
      return isBack(node, row, fleet)
        ? { ...verifying('released', settings), attempt: 0 }
        : { state: 'waiting', why: 'released', lastsMs: settings.selfRestartMs, attempt: 0 };
  }
}

/** After a restart that did not lead where it should. */
export function tryAgain(row: RecoveryRow, why: StepReason, settings: RecoverySettings, rng: Rng): Move {
  if (row.attempt >= settings.maxRetries) return { state: 'timed-out', why: 'retries-used-up', lastsMs: 0 };
  const failures = Math.max(0, row.attempt - 1);
  return { state: 'waiting', why, lastsMs: fullJitterMs(settings.backoff, failures, rng) };
}

export function verifying(why: StepReason, { verifyMs }: RecoverySettings): Move {
  return { state: 'verifying', why, lastsMs: verifyMs };
}

const HEALTHY: Move = { state: 'healthy', why: 'level', lastsMs: 0 };

function waited(
  node: ObservedNode,
  row: RecoveryRow,
  fleet: DisruptionBudget,
  settings: RecoverySettings,
): Move | undefined {
  if (fleet.nowMs - row.beganAtMs >= settings.timeoutMs) {
    return { state: 'timed-out', why: 'out-of-time', lastsMs: 0 };
  }
  if (fleet.nowMs < row.dueAtMs) return undefined;
  if (!settings.hasDriver && !node.answers) return undefined;
  if (fleet.mayRestart(node.nodeId) !== 'granted') return undefined;
  const { restartMs: lastsMs } = settings;
  return { state: 'restarting', why: 'did-not-come-back', lastsMs, attempt: row.attempt + 1 };
}

/** It answers, and not as what was judged failed; one that was restarted on purpose answers as another incarnation. */
function isBack(node: ObservedNode, row: RecoveryRow, fleet: DisruptionBudget): boolean {
  if (!node.answers || node.announcedStop || fleet.isJudgedFailed(node)) return false;
  return !row.planned || node.incarnation > row.incarnation;
}

function isReady(node: ObservedNode, { healthPasses }: RecoverySettings): boolean {
  return node.healthPasses >= healthPasses;
}

function isWell(
  node: ObservedNode,
  row: RecoveryRow,
  fleet: DisruptionBudget,
  settings: RecoverySettings,
): boolean {
  return isBack(node, row, fleet) && isReady(node, settings) && node.level;
}
