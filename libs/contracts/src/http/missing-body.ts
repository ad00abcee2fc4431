import { Problem } from './problem.js';

interface BodyHeaders {
  'content-type'?: string | undefined;
  'content-length'?: string | undefined;
  'transfer-encoding'?: string | undefined;
}

/**
 * Why a PUT without a single byte stores nothing: `curl -X PUT url` forgot its body and would empty the key. An empty
 * value is sent on purpose with `Content-Length: 0` (or chunked) and a Content-Type.
 */
export function missingBody(headers: BodyHeaders, bytes: number): Problem | undefined {
  if (bytes > 0) return undefined;
  const isFramed = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
  if (isFramed && headers['content-type'] !== undefined) return undefined;
  return new Problem(
    'invalid-request',
    'the request has no body: to store an empty value, send Content-Length: 0 and a Content-Type',
  );
}
