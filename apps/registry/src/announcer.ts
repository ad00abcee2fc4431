import { Injectable } from '@nestjs/common';
import type { NodeStatusChanged } from '#libs/contracts';
import type { Clock } from '#libs/kernel';
import { type BusLogger, EventJournal, type OutboxEvent } from '#libs/messaging';
import type { MemberRecord, Transition } from './domain/member.js';
import { MemberTable } from './domain/member-table.js';
import { RegistryMetrics } from './registry.metrics.js';
import type { MemberEntry } from './registry.store.js';

/** Keeps and tells what happens to members: a row, a fact, a log line and a count for every transition. */
@Injectable()
export class Announcer {
  /** Members whose cache entry and heartbeat row are behind. */
  readonly touched = new Set<string>();

  constructor(
    private readonly members: MemberTable,
    private readonly journal: EventJournal<MemberEntry>,
    private readonly metrics: RegistryMetrics,
    private readonly clock: Clock,
    private readonly logger: BusLogger,
  ) {}

  /** With all the evidence that stands, and what is known of the cause beyond it. */
  move(transition: Transition | undefined, cause: Record<string, unknown> = {}): void {
    const record = transition && this.members.get(transition.nodeId);
    if (transition && record) this.record(record, transition, [], cause);
  }

  record(
    record: MemberRecord,
    transition: Transition | undefined,
    others: readonly OutboxEvent[],
    cause: Record<string, unknown> = {},
  ): void {
    const { nodeId } = record;
    const at = this.now();
    const nowMs = this.clock.monotonicMs();
    const evidence = transition ? { ...this.members.evidence(nodeId, nowMs), ...cause } : null;
    const facts = [...others];
    if (transition) {
      const payload: NodeStatusChanged = { ...transition, evidence, at };
      facts.push({ id: `node.status/${nodeId}/${transition.statusSeq}`, subject: 'node.status', payload });
      this.metrics.transitions.inc({ to: transition.to, reason: transition.reason ?? 'none' });
      this.logger.info({ ...transition, evidence }, 'node status changed');
      this.touched.add(nodeId);
    }
    const standing = this.members.standing(nodeId, nowMs);
    this.journal.add({ record, transition, at, evidence, standing, facts });
  }

  now(): string {
    return new Date(this.clock.wallMs()).toISOString();
  }
}
