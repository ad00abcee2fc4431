import type { FastifyRequest } from 'fastify';
import type { ZodType } from 'zod';
import { Problem } from '#libs/contracts';

/** What was posted, as its contract has it. No web page can send JSON to another origin unasked. */
export function jsonBody<T>(request: FastifyRequest, body: unknown, schema: ZodType<T>): T {
  if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw new Problem('unsupported-content-type', 'send application/json, {} when there is nothing to say');
  }
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Problem('invalid-field', `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'not valid'}`);
}
