import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { Problem } from '#libs/contracts';

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
