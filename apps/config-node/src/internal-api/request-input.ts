import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { CHANGE_FRAMES_TYPE, CHANGE_PAGE_BYTES, JSON_VALUE_FACTOR, Problem } from '#libs/contracts';

/** Bodies in JSON stay text until a route reads them; those of changes stay bytes. */
export function registerBodyParsers(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  // In JSON a value takes at most twice its bytes; only the release before pushes changes in it.
  scope.addContentTypeParser(
    'application/json',
    { parseAs: 'string', bodyLimit: JSON_VALUE_FACTOR * CHANGE_PAGE_BYTES },
    (_request, body, done) => done(null, body),
  );
  scope.addContentTypeParser(
    CHANGE_FRAMES_TYPE,
    { parseAs: 'buffer', bodyLimit: CHANGE_PAGE_BYTES },
    (_request, body, done) => done(null, body),
  );
}

/** The body as JSON of this shape. Rejects with `invalid-request`. */
export function bodyOf<T>(request: FastifyRequest, schema: z.ZodType<T>): T {
  let body: unknown;
  try {
    body = JSON.parse(String(request.body));
  } catch (cause) {
    throw new Problem('invalid-request', 'the body is not JSON', {}, { cause });
  }
  return valid(schema.safeParse(body));
}

/** The query of this shape. Rejects with `invalid-request`. */
export function queryOf<T>(request: FastifyRequest, schema: z.ZodType<T>): T {
  return valid(schema.safeParse(request.query));
}

function valid<T>(result: z.ZodSafeParseResult<T>): T {
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new Problem(
    'invalid-request',
    `${issue?.path.join('.') || 'request'}: ${issue?.message ?? 'not valid'}`,
  );
}
