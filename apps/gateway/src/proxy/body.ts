import type { IncomingMessage } from 'node:http';

export type BodyRead = { read: 'whole'; body: Buffer } | { read: 'too-large' } | { read: 'broken' };

/**
 * What is read and thrown away of a body that is too large. A client that is cut while it sends may not read the
 * answer that tells it why; one that sends for ever is cut all the same.
 */
const DISCARDED_BYTES = 32 * 1024 * 1024;

/** Takes in a body up to a limit; what goes beyond is not kept. The callback comes once. */
export function readBody(req: IncomingMessage, limitBytes: number, done: (result: BodyRead) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let over = false;
  const finish = (result: BodyRead) => {
    if (over) return;
    over = true;
    done(result);
  };
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limitBytes) {
      finish({ read: 'too-large' });
      chunks.length = 0;
      if (bytes > limitBytes + DISCARDED_BYTES) req.destroy();
    } else if (!over) {
      chunks.push(chunk);
    }
  });
  req.on('end', () => {
    const [first] = chunks;
    finish({ read: 'whole', body: chunks.length === 1 && first ? first : Buffer.concat(chunks) });
  });
  req.on('error', () => finish({ read: 'broken' }));
  req.on('close', () => finish({ read: 'broken' }));
  if (Number(req.headers['content-length'] ?? 0) > limitBytes) finish({ read: 'too-large' });
}
