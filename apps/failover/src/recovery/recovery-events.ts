import type { z } from 'zod';
import type { AlertRaised, NodeHold, RecoveryStep } from '#libs/contracts';
import type { OutboxEvent } from '#libs/messaging';
import type { HoldRow, RecoveryPlan, RecoveryRow } from '../domain/recovery/recovery.types.js';

/** What the world is told of a plan that was carried out. */
export function factsOf(plan: RecoveryPlan, nowMs: number): OutboxEvent[] {
  const alerts = plan.alerts.map((alert) => {
    const { name, nodeId, seq, summary } = alert;
    const payload: z.infer<typeof AlertRaised> = {
      name,
      severity: 'critical',
      summary,
      labels: { nodeId },
      at: timeOf(nowMs),
    };
    return { id: `alert/${name}/${nodeId}/${seq}`, subject: 'alert.raised.critical', payload };
  });
  const steps = plan.steps.map((row) => ({
    id: `recovery.step/${row.nodeId}/${row.seq}`,
    subject: 'recovery.step',
    payload: stepOf(row, nowMs),
  }));
  const holds = plan.holds.map((row) => ({
    id: `node.hold/${row.nodeId}/${row.seq}`,
    subject: 'node.hold',
    payload: holdOf(row),
  }));
  // Whoever balances is told first.
  return [...holds, ...steps, ...alerts];
}

export function holdOf({ nodeId, seq, drained, quarantinedUntilMs, by, why, atMs }: HoldRow): NodeHold {
  const quarantinedUntil = quarantinedUntilMs === null ? null : timeOf(quarantinedUntilMs);
  return { nodeId, seq, drained, quarantinedUntil, by, why, at: timeOf(atMs) };
}

function stepOf(row: RecoveryRow, nowMs: number): RecoveryStep {
  const { nodeId, seq, state, incarnation, attempt, planned, why, by } = row;
  return { nodeId, seq, state, incarnation, attempt, planned, why, by, at: timeOf(nowMs) };
}

function timeOf(ms: number): string {
  return new Date(Math.round(ms)).toISOString();
}
