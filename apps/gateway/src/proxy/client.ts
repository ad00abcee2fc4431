import type { IncomingMessage, ServerResponse } from 'node:http';
import { HEADERS, PROBLEM_CONTENT_TYPE, Problem } from '#libs/contracts';

/** Answers that the gateway itself gives on its hot paths, in the form that all errors have. */
export interface Client {
  req: IncomingMessage;
  res: ServerResponse;
  requestId: string;
  /** Headers that go with whatever is answered, e.g. those that let a web page read it. */
  extra: readonly string[];
}

export function isGone(client: Client): boolean {
  return client.res.destroyed || client.res.writableEnded;
}

export function sendProblem(client: Client, problem: Problem, more: readonly string[] = []): void {
  const { req, res, requestId, extra } = client;
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const body = Buffer.from(JSON.stringify(problem.toBody(req.url)));
  const headers = [
    'content-type',
    PROBLEM_CONTENT_TYPE,
    'content-length',
    String(body.length),
    HEADERS.requestId,
    requestId,
    ...extra,
    ...more,
  ];
  for (const [name, value] of Object.entries(problem.headers())) headers.push(name, value);
  res.writeHead(problem.status, headers);
  res.end(req.method === 'HEAD' ? undefined : body);
}

/** Reads the problem in an error's body; undefined when it is none of ours. */
export function problemIn(body: Buffer): Problem | undefined {
  try {
    return Problem.fromBody(JSON.parse(body.toString('utf8')));
  } catch {
    return undefined; // not JSON: not an answer of ours, which is what undefined says
  }
}
