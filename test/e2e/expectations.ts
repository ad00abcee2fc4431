import { expect } from 'vitest';
import { describeFailures, describeViolations, type Failure, type Workload } from '#libs/testing';

/** Ends a workload: nothing that a client saw may contradict the change log, and the run must have been one. */
export async function expectSoundHistory(workload: Workload): Promise<void> {
  const violations = await workload.finish();
  expect(describeViolations(violations)).toBe('');
  const acknowledged = workload.history.writes.filter(({ outcome }) => outcome.type === 'ok').length;
  const read = workload.history.reads.filter(({ outcome }) => outcome.type !== 'error').length;
  expect(acknowledged).toBeGreaterThan(20);
  expect(read).toBeGreaterThan(20);
}

/** Through the gateway nothing failed: no write, no read, no list, and no watch broke. */
export function expectNoGatewayFailures(workload: Workload): void {
  expect(describeFailures(workload.failures.filter(({ via }) => via === 'gateway'))).toBe('');
}

/** Besides the failures that `allowed` names there were none. */
export function expectOnlyFailures(workload: Workload, allowed: (failure: Failure) => boolean): void {
  expect(describeFailures(workload.failures.filter((failure) => !allowed(failure)))).toBe('');
}

const BROKEN_CONNECTION = new Set(['ECONNREFUSED', 'ECONNRESET', 'UND_ERR_SOCKET', 'EPIPE', 'closed']);

/** What a direct client must expect of a node that dies or restarts: its connection breaks, its stream ends. */
export function isBrokenConnection({ via, code }: Failure): boolean {
  return via === 'direct' && (BROKEN_CONNECTION.has(code) || code === 'end-draining');
}
