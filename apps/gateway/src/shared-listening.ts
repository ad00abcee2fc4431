import type { Server } from 'node:http';
import type { Server as NetServer } from 'node:net';

/**
 * How a gateway comes to its connections: a parent that holds the address for several gateways sends the bound
 * handle over IPC; without such a parent the gateway binds the address itself. That there is an IPC channel says
 * nothing: process managers of all kinds open one.
 */
export async function listen(
  server: Server,
  own: { port: number; host: string },
  isShared: boolean,
): Promise<void> {
  const handle = isShared && process.channel ? await handleFromParent() : undefined;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const listening = () => {
      server.removeListener('error', reject);
      resolve();
    };
    if (handle === undefined) server.listen(own.port, own.host, listening);
    else server.listen(handle, listening);
  });
}

const HANDLE_WITHIN_MS = 10_000;

/** The message comes once, right after the start; if it does not, the gateway is better off on its own. */
function handleFromParent(): Promise<NetServer | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => settle(undefined), HANDLE_WITHIN_MS);
    const settle = (handle: NetServer | undefined) => {
      clearTimeout(timer);
      process.removeListener('message', onMessage);
      resolve(handle);
    };
    const onMessage = (message: unknown, handle: unknown) => {
      if (isListen(message)) settle(handle as NetServer | undefined);
    };
    process.on('message', onMessage);
  });
}

function isListen(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'listen';
}
