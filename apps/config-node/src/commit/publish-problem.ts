import { Problem } from '#libs/contracts';
import type { WriteOperation } from '../domain/commit/write.js';
import type { WriteKind } from '../domain/log.types.js';

/**
 * What to answer when a write that was handed to the publisher ended in an error. A problem says itself what became
 * of the write. Whatever else goes wrong from there on may have gone wrong after the commit: a publish answered with
 * anything but 504 has not happened and will not, so 504 it is.
 */
export function publishProblem(
  error: unknown,
  write: { kind: WriteKind; operations: readonly WriteOperation[] },
): Problem {
  if (!(error instanceof Problem)) {
    const cause = { cause: error };
    return new Problem('outcome-unknown', 'this node failed before it learnt what became of it', {}, cause);
  }
  return write.kind === 'change-set' ? withPlace(error, write) : error;
}

/** Problems of change sets name the operation by its place; the publisher knows keys, which occur once in a set. */
function withPlace(problem: Problem, { operations }: { operations: readonly WriteOperation[] }): Problem {
  const { code, detail, members, cause } = problem;
  if (members.operation !== undefined || typeof members.key !== 'string') return problem;
  const operation = operations.findIndex(
    ({ namespace, key }) => namespace === members.namespace && key === members.key,
  );
  return operation < 0 ? problem : new Problem(code, detail, { operation, ...members }, { cause });
}
