import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, PROBLEM_CONTENT_TYPE, Problem } from '#libs/contracts';
import { crashOnDefect, messageOf } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import type { RouteTable } from './route-table.js';

const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid-request',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not-found',
  405: 'method-not-allowed',
  406: 'not-acceptable',
  413: 'value-too-large',
  415: 'unsupported-content-type',
  431: 'headers-too-large',
};

/** Turns whatever a route threw into the one answer of its code. What nobody foresaw is logged, and told as `internal`. */
export function toProblem(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error;
  const status = statusOf(error);
  const code = status === undefined ? undefined : CODE_OF_STATUS[status];
  if (code !== undefined) return new Problem(code, messageOf(error));
  if (status !== undefined && status >= 400 && status < 500) {
    return new Problem('invalid-request', messageOf(error));
  }
  return undefined;
}

function statusOf(error: unknown): number | undefined {
  if (error instanceof HttpException) return error.getStatus();
  if (
    typeof error === 'object' &&
    error !== null &&
    'statusCode' in error &&
    typeof error.statusCode === 'number'
  ) {
    return error.statusCode;
  }
  return undefined;
}

export function sendProblem(reply: FastifyReply, problem: Problem, instance: string): void {
  reply
    .code(problem.status)
    .headers(problem.headers())
    .header('content-type', PROBLEM_CONTENT_TYPE)
    .send(Buffer.from(JSON.stringify(problem.toBody(instance))));
}

@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly logger: Logger,
    private readonly routes: RouteTable,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    if (host.getType() !== 'http') throw error;
    this.answer(error, host.switchToHttp().getRequest(), host.switchToHttp().getResponse());
  }

  /** The same for raw routes, whose errors never reach Nest. */
  answer(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    // Input that Fastify refuses comes as a RangeError or TypeError with a status below 500.
    if (error instanceof Problem || toProblem(error) === undefined) crashOnDefect(error);
    if (reply.raw.headersSent) {
      this.logger.error({ error, requestId: request.id }, 'request failed after its response had begun');
      reply.raw.destroy();
      return;
    }
    sendProblem(reply, this.problemOf(error, request, reply), request.url);
  }

  private problemOf(error: unknown, request: FastifyRequest, reply: FastifyReply): Problem {
    const problem = toProblem(error);
    if (problem === undefined) {
      this.logger.error({ error, requestId: request.id, method: request.method }, 'request failed');
      return new Problem('internal', `unexpected error; the log has it under request ${request.id}`);
    }
    if (problem.code !== 'not-found') return problem;
    const allowed = this.routes.methodsAt(request.url);
    if (allowed.length === 0) return problem;
    reply.header('allow', allowed.join(', '));
    return new Problem(
      'method-not-allowed',
      `${request.method} is not allowed here, only ${allowed.join(', ')}`,
    );
  }
}
