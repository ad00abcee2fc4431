import { connect } from 'node:net';

/**
 * `dropped`: taken, and closed again at once. `unclear`: neither taken nor refused in time. Both prove nothing: while a
 * process is being ended its sockets close one after the other, and the one that listens may be the last.
 */
export type DialOutcome = 'accepted' | 'refused' | 'dropped' | 'unclear';

/** A kernel that still took a connection for a dying process resets it within this time. */
const KEPT_MS = 15;

/** Tries a new connection, and drops it again. A refusal is the word of the host's kernel: nobody listens there. */
export function dial(address: string, timeoutMs: number): Promise<DialOutcome> {
  const { hostname, port, protocol } = new URL(address);
  return new Promise((resolve) => {
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port) || (protocol === 'https:' ? 443 : 80),
      noDelay: true,
    });
    const end = (outcome: DialOutcome) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    let timer = setTimeout(() => end('unclear'), timeoutMs);
    let taken = false;
    socket.once('connect', () => {
      taken = true;
      clearTimeout(timer);
      timer = setTimeout(() => end('accepted'), KEPT_MS);
    });
    socket.once('end', () => end('dropped'));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (taken || error.code === 'ECONNRESET') end('dropped');
      else end(error.code === 'ECONNREFUSED' ? 'refused' : 'unclear');
    });
    socket.resume();
  });
}
