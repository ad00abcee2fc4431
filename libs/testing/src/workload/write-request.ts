import type { Answer, ApiClient, PutOptions } from '../clients/api-client.js';
import { problemCode } from '../clients/api-client.js';
import type { Condition, WriteOutcome, WrittenOperation } from '../history/record.js';
import type { PlannedWrite } from './write-plan.js';

/** Sends a planned write once. */
export function sendWrite(
  api: ApiClient,
  write: PlannedWrite,
  mark: string,
  idempotencyKey: string | undefined,
): Promise<Answer> {
  const key = idempotencyKey === undefined ? {} : { idempotencyKey };
  const [first] = write.operations;
  if (write.form === 'change-set' || !first) {
    return api.changeSet({ comment: mark, operations: write.operations.map(changeSetOperation) }, key);
  }
  const options = { ...key, comment: mark, ...conditionOptions(first.condition) };
  return first.op === 'put'
    ? api.put(first.namespace, first.key, first.value, options)
    : api.delete(first.namespace, first.key, options);
}

/** By the contract, an error other than 504 means that nothing happened and nothing will. */
export function writeOutcome(write: PlannedWrite, answer: Answer): WriteOutcome {
  if (answer.status >= 200 && answer.status < 300) {
    const { version } = JSON.parse(answer.body.toString()) as { version: number };
    const created = write.form === 'put' ? { created: answer.status === 201 } : {};
    return { type: 'ok', version, ...created };
  }
  const code = problemCode(answer);
  return answer.status === 504 ? { type: 'unknown', code } : { type: 'refused', status: answer.status, code };
}

function conditionOptions(condition: Condition | undefined): PutOptions {
  switch (condition?.type) {
    case 'version':
      return { ifMatch: `"${condition.version}"` };
    case 'exists':
      return { ifMatch: '*' };
    case 'absent':
      return { ifNoneMatch: '*' };
    case undefined:
      return {};
  }
}

function changeSetOperation({ condition, ...operation }: WrittenOperation): Record<string, unknown> {
  return condition?.type === 'version' ? { ...operation, ifVersion: condition.version } : operation;
}
