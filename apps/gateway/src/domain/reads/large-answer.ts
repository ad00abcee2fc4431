/** Above this an answer takes turns with others: passing on a hundred of 4 MiB at once leaves small ones no time. */
export const LARGE_ANSWER_BYTES = 256 * 1024;

/**
 * Whether an answer takes turns with other large ones. `contentLength` is negative when the answer does not say: it may be
 * as long as it likes, unless it has no body at all.
 */
export function isLargeAnswer(method: string | undefined, status: number, contentLength: number): boolean {
  if (method === 'HEAD' || status === 204 || status === 304) return false;
  return contentLength < 0 || contentLength > LARGE_ANSWER_BYTES;
}
