import { Problem } from '#libs/contracts';
import { BusError } from '#libs/messaging';

/** A question that nobody could answer is no fault of who asked. */
export function unavailable(
  error: unknown,
  who: string,
  late: 'outcome-unknown' | 'no-available-node',
): unknown {
  if (!(error instanceof BusError)) return error;
  const cause = { cause: error };
  if (error.kind === 'timeout') return new Problem(late, `${who} did not answer in time`, {}, cause);
  return new Problem('no-available-node', `${who} cannot be reached over the bus`, {}, cause);
}
