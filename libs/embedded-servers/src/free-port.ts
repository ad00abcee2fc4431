import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { type Rng, systemRng } from '#libs/kernel';

const LOWEST_PORT = 10_240;
const DEFAULT_EPHEMERAL_START = 32_768;
const ATTEMPTS = 200;

/** True when nobody listens on the loopback port. */
export function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/**
 * `count` different free loopback ports, below the range from which the kernel takes the ports of outgoing
 * connections: a port of that range can be lost to any client while its server restarts, and a client that
 * reconnects to a dead one can even end up connected to itself.
 */
export async function freePorts(
  count: number,
  options: { rng?: Rng; avoid?: Iterable<number> } = {},
): Promise<number[]> {
  const rng = options.rng ?? systemRng;
  const tried = new Set(options.avoid);
  const found: number[] = [];
  const end = Math.max(ephemeralStart(), LOWEST_PORT + 4 * count);
  for (let attempt = 0; attempt < ATTEMPTS + count && found.length < count; attempt++) {
    const port = LOWEST_PORT + rng.int(end - LOWEST_PORT);
    if (tried.has(port)) continue;
    tried.add(port);
    if (await isPortFree(port)) found.push(port);
  }
  if (found.length < count) throw new Error(`no ${count} free ports between ${LOWEST_PORT} and ${end}`);
  return found;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  if (port === undefined) throw new Error('no free port');
  return port;
}

function ephemeralStart(): number {
  if (process.platform !== 'linux') return DEFAULT_EPHEMERAL_START;
  const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
  const start = Number.parseInt(range, 10);
  return Number.isInteger(start) ? start : DEFAULT_EPHEMERAL_START;
}
