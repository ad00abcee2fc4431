import { isReservedNamespace, isSystemKey, Problem, parseSystemValue, SYSTEM_KEYS } from '#libs/contracts';
import type { WriteOperation } from '../../../domain/commit/write.js';

/** They are read on an event loop. */
const MAX_BYTES = 16 * 1024;

/** Why an operation cannot be done in a namespace of Holdfast's own: what stands there is read by its processes. */
export function systemRefusal(
  operation: WriteOperation,
  where: Readonly<Record<string, unknown>>,
): Problem | undefined {
  const { op, namespace, key } = operation;
  if (op === 'delete' || !isReservedNamespace(namespace) || !isSystemKey(key)) return undefined;
  if (operation.contentType !== 'application/json') {
    return new Problem('unsupported-content-type', `'${key}' is application/json`, {
      ...where,
      supported: ['application/json'],
    });
  }
  if (operation.value.length > MAX_BYTES) {
    return new Problem('value-too-large', `'${key}' has at most ${MAX_BYTES} bytes`, where);
  }
  const parsed = parseSystemValue<unknown>(SYSTEM_KEYS[key].schema, operation.value.toString('utf8'));
  if (!('fault' in parsed)) return undefined;
  const { field, why } = parsed.fault;
  return new Problem('invalid-value', `${field || key}: ${why}`, { ...where, field });
}
