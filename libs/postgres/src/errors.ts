/** Certainly never sent: no connection could be had. */
export class StorageUnavailable extends Error {
  override readonly name = 'StorageUnavailable';
}

/**
 * Sent, or perhaps sent, and no certain answer: a time-out, a lost connection, errors 08 and 57P, a warning 01000.
 * The statement may have taken effect, or may still do so.
 */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown';
}

/** Postgres refused the statement: it had no effect. */
export class StatementRefused extends Error {
  override readonly name: string = 'StatementRefused';
  readonly sqlState: string;

  constructor(message: string, sqlState: string, options?: ErrorOptions) {
    super(message, options);
    this.sqlState = sqlState;
  }
}

/** SQLSTATE class 22 or 23: what was sent is at fault; the same again fails again. */
export class DataError extends StatementRefused {
  override readonly name = 'DataError';
}

/** SQLSTATE 42P01 or 3F000: the tables that the statement names have not been made yet. */
export class NotMigrated extends StatementRefused {
  override readonly name = 'NotMigrated';
}

export function isDataError(error: unknown): error is DataError {
  return error instanceof DataError;
}

/** The server is a standby: it refused a write, or a primary was asked for. */
export const READ_ONLY_TRANSACTION = '25006';
const QUERY_CANCELED = '57014';
const UNDEFINED_TABLE = '42P01';
const UNDEFINED_SCHEMA = '3F000';
/** statement_completion_unknown */
const COMPLETION_UNKNOWN = '40003';

/** What pg hands over for an error message of the server. */
interface ServerError extends Error {
  code: string;
  severity: string | undefined;
}

export function isServerError(error: unknown): error is ServerError {
  // Five characters of a SQLSTATE; system errors such as EPIPE have no severity.
  return (
    error instanceof Error &&
    'severity' in error &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^[0-9A-Z]{5}$/.test(error.code)
  );
}

/** Names what is known after a statement that was handed to the connection has failed. */
export function classify(error: unknown): Error {
  if (!isServerError(error)) {
    return new OutcomeUnknown(`no answer from Postgres: ${messageOf(error)}`, { cause: error });
  }
  const { code, severity, message } = error;
  const text = `${message} (${code})`;
  if (
    endsConnection(code, severity) ||
    code.startsWith('08') ||
    code.startsWith('57P') ||
    code === COMPLETION_UNKNOWN
  ) {
    return new OutcomeUnknown(text, { cause: error });
  }
  // The time-out of a statement has rolled back by all we know; as a time-out it still counts as unknown.
  if (code === QUERY_CANCELED) return new OutcomeUnknown(text, { cause: error });
  if (code.startsWith('22') || code.startsWith('23')) return new DataError(text, code, { cause: error });
  if (code === UNDEFINED_TABLE || code === UNDEFINED_SCHEMA) {
    return new NotMigrated(text, code, { cause: error });
  }
  return new StatementRefused(text, code, { cause: error });
}

/** Classes 53, 57, 58, F0, XX, and the time-outs of idling and of transactions: what a running session dies of. */
const DEADLY = /^(?:53|57|58|F0|XX|25P03|25P04)/;

/**
 * FATAL and PANIC end the connection: whether a commit got through is not said. The driver has only the severity in
 * the server's language; when that is another one, the codes that can be fatal are taken to be.
 */
function endsConnection(code: string, severity: string | undefined): boolean {
  if (severity === 'ERROR') return false;
  return severity === 'FATAL' || severity === 'PANIC' || DEADLY.test(code);
}

/** A commit whose wait for the synchronous standby was cancelled is reported as done, with this warning. */
const WARNING = '01000';

/** By the code alone: the word for its severity is in the server's language. */
export function isDurabilityWarning(notice: { code: string | undefined }): boolean {
  return notice.code === WARNING;
}

export function unavailable(what: string, cause: unknown): StorageUnavailable {
  return new StorageUnavailable(`${what}: ${messageOf(cause)}`, { cause });
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return error.message || code || error.name;
}
