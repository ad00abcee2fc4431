import type { ErrorCode } from '#libs/contracts';
import { NO_FLAPS } from './detection/flap-score.js';
import type {
  HoldRow,
  ObservedNode,
  RecoveryInput,
  RecoveryPlan,
  RecoverySettings,
} from './recovery/recovery.types.js';
import { noHold, PlanDraft } from './recovery/recovery-plan.js';

/** What an operator wants done to one node. */
export interface OperatorWish {
  wish: 'drain' | 'undrain' | 'release' | 'restart';
  nodeId: string;
  why: string | undefined;
}

export type OperatorAnswer =
  | { answer: 'refused'; code: ErrorCode; detail: string }
  /** The plan may be empty: then it is so already. */
  | { answer: 'planned'; plan: RecoveryPlan; hold: HoldRow | undefined };

/** Decided from the same rows, and carried out under the same condition, as what failover does by itself. */
export function planWish(
  { wish, nodeId, why }: OperatorWish,
  standing: RecoveryInput,
  settings: RecoverySettings,
): OperatorAnswer {
  const node = standing.nodes.find((seen) => seen.nodeId === nodeId);
  if (!node) return refused('node-not-found', `there is no node '${nodeId}'`);
  const draft = new PlanDraft(standing, settings);
  switch (wish) {
    case 'drain':
      return drain(draft, node, why);
    case 'undrain':
      return undrain(draft, nodeId, why);
    case 'release':
      return release(draft, nodeId, why);
    case 'restart':
      return restart(draft, node, settings);
  }
}

function drain(draft: PlanDraft, node: ObservedNode, why: string | undefined): OperatorAnswer {
  const { nodeId } = node;
  const hold = draft.fleet.hold(nodeId) ?? noHold(nodeId);
  if (hold.drained) return planned(draft, hold);
  if (node.voter && draft.fleet.othersThatMayLead(nodeId) === 0) {
    return refused('precondition-failed', `without ${nodeId} no voter would be left that may lead`);
  }
  return planned(draft, draft.keepOut({ ...hold, drained: true, why: why ?? 'drained by an operator' }));
}

function undrain(draft: PlanDraft, nodeId: string, why: string | undefined): OperatorAnswer {
  const hold = draft.fleet.hold(nodeId);
  if (!hold?.drained) return planned(draft, hold);
  return planned(draft, draft.keepOut({ ...hold, drained: false, why: why ?? 'undrained by an operator' }));
}

/** The operator vouches for the node: what it did before is forgotten. */
function release(draft: PlanDraft, nodeId: string, why: string | undefined): OperatorAnswer {
  const hold = draft.fleet.hold(nodeId);
  if (!hold || hold.quarantinedUntilMs === null) return planned(draft, hold);
  const row = draft.fleet.recovery(nodeId);
  if (row) draft.note({ ...row, flaps: NO_FLAPS });
  const free = { ...hold, quarantinedUntilMs: null, quarantines: 0, why: why ?? 'released by an operator' };
  return planned(draft, draft.keepOut(free));
}

function restart(draft: PlanDraft, node: ObservedNode, settings: RecoverySettings): OperatorAnswer {
  const { fleet } = draft;
  const { nodeId, answers, incarnation } = node;
  if (incarnation === 0) return refused('precondition-failed', `${nodeId} has not been heard of yet`);
  if (!answers && !settings.hasDriver) {
    return refused('precondition-failed', `${nodeId} does not answer, and no recovery driver is set`);
  }
  const row = fleet.recovery(nodeId);
  if (row?.state === 'restarting') return refused('cluster-busy', `${nodeId} is being restarted`);
  const leave = fleet.mayRestart(nodeId);
  if (leave === 'enough-in-recovery') {
    return refused('cluster-busy', 'as many nodes are on their way back as may be at once');
  }
  // One that does not answer can only win by it, whatever the others are like.
  if (leave === 'most-are-unwell' && answers) {
    return refused('precondition-failed', `most nodes are not well: ${nodeId} is needed`);
  }
  const begun = row ?? draft.fresh(node, fleet.verdict(nodeId)?.seq ?? 0);
  draft.move(
    node,
    { ...begun, planned: true, incarnation, beganAtMs: fleet.nowMs },
    { state: 'restarting', why: 'by-operator', lastsMs: settings.restartMs, attempt: 1 },
  );
  return planned(draft, fleet.hold(nodeId));
}

function planned({ plan }: PlanDraft, hold: HoldRow | undefined): OperatorAnswer {
  return { answer: 'planned', plan, hold };
}

function refused(code: ErrorCode, detail: string): OperatorAnswer {
  return { answer: 'refused', code, detail };
}
