import { InvariantViolation } from './invariant.js';

/**
 * What an error says about the program that met it.
 * - `expected`: something outside failed, in a way that the closed lists below name. The operation is retried or refused.
 * - `unforeseen`: an error that no list names. The operation failed, and an engineer is to look at it.
 * - `defect`: the program contradicts itself, or used a value in a way that cannot work. The process must end.
 */
export type FailureClass = 'expected' | 'unforeseen' | 'defect';

/** Errors of this system and of the libraries at its edges, by name: they say that something else failed. */
const EXPECTED_NAMES = new Set([
  // This system.
  ...[
    'Problem',
    'BusError',
    'CacheUnavailable',
    'HeadLocked',
    'FrameDamaged',
    'NoAnswerInTime',
    'NodeRefusal',
  ],
  ...[
    'StorageUnavailable',
    'OutcomeUnknown',
    'StatementRefused',
    'DataError',
    'NotMigrated',
    'SnapshotDamaged',
  ],
  // Time-outs, aborts, and input from outside that cannot be read (JSON, schemas).
  ...['AbortError', 'TimeoutError', 'SyntaxError', 'URIError', 'ZodError'],
  // @nats-io/nats-core and @nats-io/jetstream.
  ...['AuthorizationError', 'ClosedConnectionError', 'ConnectionError', 'DrainingConnectionError'],
  ...['NoResponders', 'NoRespondersError', 'PermissionViolationError', 'ProtocolError', 'RequestError'],
  ...['UserAuthenticationExpiredError', 'JetStreamApiError', 'JetStreamError', 'JetStreamNotEnabled'],
  ...['JetStreamStatusError', 'ConsumerNotFoundError', 'StreamNotFoundError'],
]);

/** Node's system errors (ECONNREFUSED, ENOSPC), undici, the HTTP parser, SQLSTATE. */
const EXPECTED_CODES = /^(?:E[A-Z0-9]{2,}|UND_ERR_\w+|HPE_\w+|[0-9A-Z]{5})$/;
/** Node reports input that cannot be decoded as a TypeError with one of these codes. */
const UNREADABLE_INPUT = new Set(['ERR_INVALID_URL', 'ERR_ENCODING_INVALID_ENCODED_DATA']);

/** What undici gives as a TypeError when a connection breaks; its `cause` is not always there. */
const NETWORK_MESSAGES = new Set(['fetch failed', 'terminated', 'unusable']);

/** The errors that JavaScript and Node raise for a mistake in the program; `fetch` raises TypeError for the network too. */
const PROGRAMMING_ERRORS = new Set([
  ...['TypeError', 'RangeError', 'ReferenceError', 'EvalError', 'AssertionError'],
  'InvariantViolation',
]);

/** Causes are followed so far; a longer chain has come back to itself. */
const MAX_CAUSES = 8;

export function classifyFailure(error: unknown): FailureClass {
  const chain = causesOf(error);
  if (chain.some((each) => each instanceof InvariantViolation)) return 'defect';
  const [first] = chain;
  if (first === undefined) return 'unforeseen';
  if (isExpected(first)) return 'expected';
  if (!PROGRAMMING_ERRORS.has(first.name)) return chain.some(isExpected) ? 'expected' : 'unforeseen';
  return first.name === 'TypeError' && chain.some(isExpected) ? 'expected' : 'defect';
}

export function isDefect(error: unknown): boolean {
  return classifyFailure(error) === 'defect';
}

/** The error, its causes, and the members of an AggregateError, outermost first. */
function causesOf(error: unknown): Error[] {
  const found: Error[] = [];
  const pending: unknown[] = [error];
  while (pending.length > 0 && found.length < MAX_CAUSES) {
    const next = pending.shift();
    if (!(next instanceof Error) || found.includes(next)) continue;
    found.push(next);
    pending.push(next.cause, ...(next instanceof AggregateError ? next.errors : []));
  }
  return found;
}

function isExpected(error: Error): boolean {
  if (EXPECTED_NAMES.has(error.name)) return true;
  if (error.name === 'TypeError' && NETWORK_MESSAGES.has(error.message)) return true;
  const code = codeOf(error);
  return code !== undefined && (UNREADABLE_INPUT.has(code) || EXPECTED_CODES.test(code));
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
