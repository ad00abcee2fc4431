/**
 * Every error that leaves Holdfast, in one table: gateway, nodes, SDK and docs read it.
 * `retry` says what a client may do: `never` = the same request fails again; `later` = the request had no effect,
 * repeat it after a pause; `same-key` = it may have taken effect, repeat it with the same Idempotency-Key only;
 * `elsewhere` = ask the node named in `leader`.
 */
export const ERRORS = {
  'invalid-request': { status: 400, title: 'The request is malformed', retry: 'never' },
  unauthenticated: { status: 401, title: 'Credentials are missing or wrong', retry: 'never' },
  forbidden: { status: 403, title: 'This is not allowed', retry: 'never' },
  'not-found': { status: 404, title: 'There is nothing at this address', retry: 'never' },
  'key-not-found': { status: 404, title: 'The key does not exist', retry: 'never' },
  'version-not-found': { status: 404, title: 'The key had no value at that version', retry: 'never' },
  'node-not-found': { status: 404, title: 'The node is not known', retry: 'never' },
  'method-not-allowed': { status: 405, title: 'The method is not allowed here', retry: 'never' },
  'not-acceptable': { status: 406, title: 'None of the accepted types can be produced', retry: 'never' },
  'request-timeout': { status: 408, title: 'The request did not come in time', retry: 'later' },
  'cursor-expired': {
    status: 410,
    title: 'The listing can no longer be continued at its version',
    retry: 'never',
  },
  'version-compacted': { status: 410, title: 'The history asked for is no longer kept', retry: 'never' },
  'precondition-failed': { status: 412, title: 'The condition does not hold', retry: 'never' },
  'value-too-large': { status: 413, title: 'The value or body is too large', retry: 'never' },
  'unsupported-content-type': { status: 415, title: 'The content type is not supported', retry: 'never' },
  'not-leader': { status: 421, title: 'This node is not the leader', retry: 'elsewhere' },
  'invalid-value': { status: 422, title: 'The value is not well-formed', retry: 'never' },
  'invalid-key': { status: 422, title: 'The namespace or key is not valid', retry: 'never' },
  'invalid-field': { status: 422, title: 'A field of the body is not valid', retry: 'never' },
  'duplicate-key': { status: 422, title: 'A key occurs twice in one change set', retry: 'never' },
  'idempotency-key-reused': {
    status: 422,
    title: 'The idempotency key was used for another request',
    retry: 'never',
  },
  'diff-too-large': { status: 422, title: 'The difference is too large to compute', retry: 'never' },
  'cluster-busy': {
    status: 429,
    title: 'The cluster has more requests than it can take',
    retry: 'later',
    retryAfterS: 1,
  },
  'headers-too-large': { status: 431, title: 'The request headers are too large', retry: 'never' },
  internal: { status: 500, title: 'Something is broken inside Holdfast', retry: 'same-key' },
  'no-available-node': { status: 503, title: 'No node can answer', retry: 'later', retryAfterS: 1 },
  'no-leader': { status: 503, title: 'There is no leader at the moment', retry: 'later', retryAfterS: 1 },
  'storage-unavailable': {
    status: 503,
    title: 'The database cannot be reached',
    retry: 'later',
    retryAfterS: 1,
  },
  'shutting-down': { status: 503, title: 'This process is shutting down', retry: 'later', retryAfterS: 1 },
  'version-not-reached': { status: 504, title: 'The version was not reached in time', retry: 'later' },
  'outcome-unknown': {
    status: 504,
    title: 'The change was sent, and it is not known whether it was committed',
    retry: 'same-key',
  },
} as const satisfies Record<string, ErrorKind>;

interface ErrorKind {
  status: number;
  title: string;
  retry: 'never' | 'later' | 'same-key' | 'elsewhere';
  retryAfterS?: number;
}

export type ErrorCode = keyof typeof ERRORS;

export function errorKind(code: ErrorCode): ErrorKind {
  return ERRORS[code];
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERRORS, code);
}
