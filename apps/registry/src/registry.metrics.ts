import { Injectable } from '@nestjs/common';
import { NODE_STATUSES } from '#libs/contracts';
import { Metrics } from '#libs/observability';
import type { MemberRecord } from './domain/member.js';

@Injectable()
export class RegistryMetrics {
  readonly registrations;
  readonly heartbeats;
  readonly transitions;
  readonly troubles;

  constructor(private readonly metrics: Metrics) {
    this.registrations = metrics.counter('registry_registrations_total', 'Registrations', ['outcome']);
    this.heartbeats = metrics.counter('registry_heartbeats_total', 'Heartbeats', ['outcome']);
    this.transitions = metrics.counter('registry_transitions_total', 'Status changes', ['to', 'reason']);
    this.troubles = metrics.counter('registry_troubles_total', 'Stores it went on without', ['what']);
  }

  watch(members: () => MemberRecord[]): void {
    this.metrics.gauge('registry_members', 'Members by status', ['status'], (gauge) => {
      for (const status of NODE_STATUSES) {
        gauge.set({ status }, members().filter((member) => !member.left && member.status === status).length);
      }
    });
  }
}
