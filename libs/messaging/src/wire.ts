import { PROBLEM_CONTENT_TYPE, Problem } from '#libs/contracts';

/**
 * How a payload stands on the wire: plain JSON, with CloudEvents 1.0 attributes in the headers (binary mode), so that
 * any NATS client in any language can publish or subscribe, and needs none of the headers itself.
 * Errors follow the NATS service convention: `Nats-Service-Error-Code`, `Nats-Service-Error`, and the problem as body.
 */
export const WIRE_HEADERS = {
  errorCode: 'Nats-Service-Error-Code',
  error: 'Nats-Service-Error',
  /** JetStream drops a second message of the same id within its window. */
  messageId: 'Nats-Msg-Id',
  contentType: 'content-type',
} as const;

export interface EventAttributes {
  id: string;
  subject: string;
  /** Name of the process that publishes. */
  source: string;
  /** RFC 3339. */
  time: string;
}

export function cloudEventHeaders(event: EventAttributes): [string, string][] {
  return [
    ['ce-specversion', '1.0'],
    ['ce-id', event.id],
    ['ce-type', `holdfast.${event.subject}`],
    ['ce-source', `/holdfast/${event.source}`],
    ['ce-time', event.time],
    [WIRE_HEADERS.contentType, 'application/json'],
  ];
}

/** Only the family or question, without its token: the type of an event does not depend on whom it is about. */
export function withToken(subject: string, token: string | undefined): string {
  return token === undefined ? subject : `${subject}.${token}`;
}

const TOKEN = /^[^\s.*>\0]+$/u;

/** NATS drops a message silently whose subject has an empty token, and a wildcard in one reaches strangers. */
export function isSubjectToken(token: string): boolean {
  return TOKEN.test(token);
}

export type Decoded = { ok: true; value: unknown } | { ok: false; fault: 'not-json' };

/** An empty body stands for `{}`: `nats request registry.list ''` should work by hand. */
export function decodeJson(data: Uint8Array): Decoded {
  if (data.length === 0) return { ok: true, value: {} };
  try {
    return { ok: true, value: JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString()) };
  } catch {
    return { ok: false, fault: 'not-json' };
  }
}

export interface ErrorReply {
  body: string;
  headers: [string, string][];
}

export function encodeProblem(problem: Problem): ErrorReply {
  return {
    body: JSON.stringify(problem.toBody()),
    headers: [
      [WIRE_HEADERS.errorCode, String(problem.status)],
      [WIRE_HEADERS.error, problem.code],
      [WIRE_HEADERS.contentType, PROBLEM_CONTENT_TYPE],
    ],
  };
}

/** The problem in an error reply; a reply of a stranger that carries only the headers is `internal`. */
export function decodeProblem(errorCode: string, errorText: string, data: Uint8Array): Problem {
  const decoded = decodeJson(data);
  const problem = decoded.ok ? Problem.fromBody(decoded.value) : undefined;
  return problem ?? new Problem('internal', `${errorCode} ${errorText}`.trim());
}
