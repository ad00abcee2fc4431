import type { SendHandle } from 'node:child_process';
import net from 'node:net';
import { isPortFree } from '#libs/embedded-servers';
import { StartRefused } from '../start-refused.js';

/**
 * The address of the gateways, bound here and listened on by both of them: it stays open while either restarts, and
 * the kernel keeps new connections waiting when neither is there.
 *
 * This process must not listen itself, or it would accept connections too. Node's public API knows no socket that is
 * bound only; the function that its own `cluster` module uses for this purpose is reachable, and checked for.
 */
export async function openGatewaySocket(host: string, port: number): Promise<SendHandle> {
  if (!(await isAvailable(host, port))) throw portTaken(host, port);
  const createServerHandle: unknown = Reflect.get(net, '_createServerHandle');
  if (typeof createServerHandle !== 'function') {
    throw new StartRefused(
      `Node ${process.version} cannot share a listening socket; Holdfast needs Node 24.15 or later`,
    );
  }
  const address = host === 'localhost' ? '127.0.0.1' : host;
  const handle: unknown = createServerHandle(address, port, net.isIPv6(address) ? 6 : 4, -1, 0);
  // A number is the error of the system. The port may also have been taken meanwhile, which shows only in the name.
  if (typeof handle === 'number' || boundPort(handle) !== port) throw portTaken(host, port);
  return handle as SendHandle;
}

async function isAvailable(host: string, port: number): Promise<boolean> {
  try {
    return await isPortFree(port, host);
  } catch (error) {
    const { message } = error as Error;
    throw new StartRefused(
      `cannot listen on ${host}:${port}: ${message}. Set HOLDFAST_BIND and HOLDFAST_PORT.`,
    );
  }
}

function boundPort(handle: unknown): number | undefined {
  if (typeof handle !== 'object' || handle === null) return undefined;
  const getsockname: unknown = Reflect.get(handle, 'getsockname');
  if (typeof getsockname !== 'function') return undefined;
  const name: { port?: number } = {};
  return getsockname.call(handle, name) === 0 ? name.port : undefined;
}

function portTaken(host: string, port: number): StartRefused {
  const why = port < 1_024 ? 'is taken, or needs the rights of root' : 'is taken by another program';
  return new StartRefused(
    `port ${port} on ${host} ${why}; nothing was started.\nChoose another: HOLDFAST_PORT=${port === 8080 ? 8081 : port + 1} npm start`,
  );
}
