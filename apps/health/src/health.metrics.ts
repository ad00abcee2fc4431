import { Injectable } from '@nestjs/common';
import type { CheckedState } from '#libs/contracts';
import { Metrics } from '#libs/observability';

const STATES: readonly CheckedState[] = ['unknown', 'up', 'down'];

@Injectable()
export class HealthMetrics {
  readonly probes;
  readonly probeSeconds;
  readonly transitions;
  readonly troubles;

  constructor(private readonly metrics: Metrics) {
    this.probes = metrics.counter('health_probes_total', 'Probes of nodes, by what they found', ['result']);
    this.probeSeconds = metrics.histogram('health_probe_seconds', 'Time that a probe took', []);
    this.transitions = metrics.counter('health_transitions_total', 'Changes of what the checks say', [
      'to',
      'reason',
    ]);
    this.troubles = metrics.counter('health_troubles_total', 'What it went on without', ['what']);
  }

  watch(read: () => { states: CheckedState[]; instances: number }): void {
    this.metrics.gauge(
      'health_nodes',
      'Nodes that this instance probes, by what it finds',
      ['state'],
      (gauge) => {
        const { states } = read();
        for (const state of STATES) gauge.set({ state }, states.filter((each) => each === state).length);
      },
    );
    this.metrics.gauge(
      'health_instances',
      'Instances that share the work, as seen from here',
      [],
      (gauge) => {
        gauge.set(read().instances);
      },
    );
  }
}
