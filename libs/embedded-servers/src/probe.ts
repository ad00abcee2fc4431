import { connect } from 'node:net';

/**
 * Connects, sends `request`, and hands everything received so far to `judge` until that decides. False on any
 * failure: a server that is starting refuses, resets or stays silent.
 */
export function probeTcp(options: {
  host: string;
  port: number;
  request?: string | Buffer;
  judge: (received: Buffer) => boolean | undefined;
  timeoutMs?: number;
}): Promise<boolean> {
  return new Promise((resolve) => {
    let received: Buffer = Buffer.alloc(0);
    const socket = connect({ host: options.host, port: options.port, noDelay: true });
    const finish = (ready: boolean) => {
      socket.destroy();
      resolve(ready);
    };
    socket.setTimeout(options.timeoutMs ?? 1_000, () => finish(false));
    socket.once('connect', () => {
      if (options.request !== undefined) socket.write(options.request);
    });
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const verdict = options.judge(received);
      if (verdict !== undefined) finish(verdict);
    });
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
  });
}
