import type { FastifyReply, FastifyRequest } from 'fastify';
import { Agent } from 'undici';
import { RequestSigner } from '#libs/cluster-auth';
import { HEADERS, Problem } from '#libs/contracts';
import { crashOnDefect } from '#libs/kernel';

const CONNECT_MS = 500;
const ANSWER_MS = 6_000;
const PASSED_ON = [
  'content-type',
  'if-match',
  'if-none-match',
  HEADERS.idempotencyKey,
  HEADERS.comment,
  HEADERS.author,
  HEADERS.aimTerm,
  HEADERS.attempt,
  HEADERS.operator,
];
/** Codes of undici and of the system that say that nothing of the request has left. */
const NEVER_SENT = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
]);

/** Sends a write on to the leader, once, for a gateway that cannot reach it. */
export class WriteForwarder {
  private readonly agent = new Agent({
    connect: { timeout: CONNECT_MS },
    headersTimeout: ANSWER_MS,
    bodyTimeout: ANSWER_MS,
    pipelining: 1,
  });

  private readonly signer: RequestSigner;

  constructor(clusterKey: string) {
    this.signer = new RequestSigner(clusterKey);
  }

  async forward(
    request: FastifyRequest,
    body: Buffer,
    reply: FastifyReply,
    leader: string,
  ): Promise<FastifyReply> {
    try {
      const answer = await this.agent.request({
        origin: leader,
        path: request.url,
        method: request.method as 'PUT' | 'POST' | 'DELETE',
        headers: this.headers(request, body, leader),
        body: body.length === 0 ? null : body,
      });
      const text = Buffer.from(await answer.body.arrayBuffer());
      for (const name of [
        'content-type',
        'etag',
        'retry-after',
        HEADERS.node,
        HEADERS.version,
        HEADERS.term,
      ]) {
        const value = answer.headers[name];
        if (value !== undefined) reply.header(name, value);
      }
      return reply.code(answer.statusCode).send(text);
    } catch (cause) {
      crashOnDefect(cause);
      if (cause instanceof Error && 'code' in cause && NEVER_SENT.has(String(cause.code))) {
        throw new Problem(
          'not-leader',
          'the leader cannot be reached from here either',
          { leader },
          { cause },
        );
      }
      throw new Problem('outcome-unknown', 'the leader did not answer', {}, { cause });
    }
  }

  async stop(): Promise<void> {
    await this.agent.destroy();
  }

  private headers(request: FastifyRequest, body: Buffer, leader: string): Record<string, string> {
    const headers: Record<string, string> = {
      [HEADERS.forwarded]: '1',
      [HEADERS.requestId]: request.id,
    };
    for (const name of PASSED_ON) {
      const value = request.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    const { method, url } = request;
    const list = Object.entries(headers).flat();
    headers[HEADERS.signature] = this.signer.sign(leader, url, { method, headers: list, body });
    return headers;
  }
}
