import { type ErrorCode, errorKind, isErrorCode } from './errors.js';

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/** The body of every error answer (RFC 9457). Members beyond these belong to the code, e.g. `leader`, `currentVersion`. */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  instance?: string;
  [member: string]: unknown;
}

/** An error that a client may see: thrown anywhere, turned into one answer at the edge. */
export class Problem extends Error {
  override readonly name = 'Problem';

  constructor(
    readonly code: ErrorCode,
    readonly detail: string,
    readonly members: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(`${code}: ${detail}`, options);
  }

  get status(): number {
    return errorKind(this.code).status;
  }

  toBody(instance?: string): ProblemBody {
    const kind = errorKind(this.code);
    return {
      type: `urn:holdfast:error:${this.code}`,
      title: kind.title,
      status: kind.status,
      code: this.code,
      detail: this.detail,
      ...(instance === undefined ? {} : { instance }),
      ...this.members,
    };
  }

  /** Headers that go with the answer, beside Content-Type. */
  headers(): Record<string, string> {
    const { retryAfterS } = errorKind(this.code);
    return retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) };
  }

  /** Reads a problem that another process answered; undefined when the body is not one. */
  static fromBody(body: unknown): Problem | undefined {
    if (typeof body !== 'object' || body === null) return undefined;
    const { type: _t, title: _ti, status: _s, code, detail, instance: _i, ...members } = body as ProblemBody;
    if (!isErrorCode(code)) return undefined;
    return new Problem(code, typeof detail === 'string' ? detail : '', members);
  }
}
