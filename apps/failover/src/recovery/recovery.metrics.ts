import { Injectable } from '@nestjs/common';
import { Metrics } from '#libs/observability';
import { isHeld, isQuarantined } from '../domain/disruption-budget.js';
import type { RecoveryPlan } from '../domain/recovery/recovery.types.js';
import type { RecoverySnapshot } from './recovery.store.js';

@Injectable()
export class RecoveryMetrics {
  readonly restarts;
  private readonly steps;
  private state: RecoverySnapshot | undefined;

  constructor(metrics: Metrics) {
    this.steps = metrics.counter('failover_recovery_steps_total', 'Steps of recoveries taken here', [
      'state',
      'why',
    ]);
    this.restarts = metrics.counter('failover_restarts_total', 'Restarts asked for by this instance', [
      'driver',
      'outcome',
    ]);
    metrics.gauge('failover_recoveries', 'Nodes, by where their recovery stands', ['state'], (gauge) => {
      gauge.reset();
      for (const { state } of this.state?.recoveries ?? []) gauge.inc({ state });
    });
    metrics.gauge('failover_held_nodes', 'Nodes kept out of the rotation', ['why'], (gauge) => {
      const { holds = [], nowMs = 0 } = this.state ?? {};
      const held = holds.filter((hold) => isHeld(hold, nowMs));
      gauge.set({ why: 'drained' }, held.filter(({ drained }) => drained).length);
      gauge.set({ why: 'quarantined' }, held.filter((hold) => isQuarantined(hold, nowMs)).length);
    });
  }

  read(state: RecoverySnapshot): void {
    this.state = state;
  }

  carriedOut(plan: RecoveryPlan): void {
    for (const { state, why } of plan.steps) this.steps.inc({ state, why });
  }
}
