import { connect } from 'node:net';

/** `unclear`: neither taken nor refused in time; it proves nothing. */
export type DialOutcome = 'accepted' | 'refused' | 'unclear';

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
    const timer = setTimeout(() => end('unclear'), timeoutMs);
    socket.once('connect', () => end('accepted'));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      end(error.code === 'ECONNREFUSED' ? 'refused' : 'unclear'),
    );
  });
}
