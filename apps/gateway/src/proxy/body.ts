import type { IncomingMessage } from 'node:http';

export type BodyRead =
  | { read: 'whole'; body: Buffer }
  | { read: 'too-large' | 'no-room' | 'late' | 'broken' };

/**
 * What is read and thrown away of a body that is not wanted. A client that is cut while it sends may not read the
 * answer that tells it why; one that sends for ever is cut all the same.
 */
const DISCARDED_BYTES = 32 * 1024 * 1024;

/** Takes in the bodies of writes: each up to its limit, and all that are being read together up to another. */
export class Bodies {
  private bytes = 0;

  constructor(private readonly limitBytes: number) {}

  /**
   * The callback comes once. What goes beyond a limit is not kept, and what comes too late is not waited for. Of a body whose
   * length is `announced` the memory is taken at once, which spares a copy: only for few at a time.
   */
  read(
    req: IncomingMessage,
    limitBytes: number,
    done: (result: BodyRead) => void,
    { announced, withinMs }: { announced?: number | undefined; withinMs?: number } = {},
  ): void {
    let chunks: Buffer[] = [];
    const whole = announced === undefined ? undefined : Buffer.allocUnsafe(announced);
    let kept = 0;
    let received = 0;
    let over = false;
    const finish = (result: BodyRead) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      this.bytes -= kept;
      chunks = [];
      done(result);
    };
    const timer = withinMs === undefined ? undefined : setTimeout(() => finish({ read: 'late' }), withinMs);
    req.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received > limitBytes) finish({ read: 'too-large' });
      else if (this.bytes + chunk.length > this.limitBytes) finish({ read: 'no-room' });
      if (over) {
        if (received > limitBytes + DISCARDED_BYTES) req.destroy();
        return;
      }
      if (whole === undefined) chunks.push(chunk);
      else whole.set(chunk, kept);
      kept += chunk.length;
      this.bytes += chunk.length;
    });
    req.on('end', () => {
      const [first] = chunks;
      // Node ends a request with an error when its body is shorter than announced.
      if (whole !== undefined) return finish({ read: 'whole', body: whole });
      finish({ read: 'whole', body: chunks.length === 1 && first ? first : Buffer.concat(chunks) });
    });
    req.on('error', () => finish({ read: 'broken' }));
    req.on('close', () => finish({ read: 'broken' }));
    if (Number(req.headers['content-length'] ?? 0) > limitBytes) finish({ read: 'too-large' });
    // A client that left while its body waited for its turn is not told of again.
    if (req.destroyed) finish({ read: 'broken' });
  }
}
