import { type ClientRequest, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { fullJitterMs, sleep, systemRng } from '#libs/kernel';
import { type DialOutcome, dial } from './dial.js';

export type LivenessEvent = 'connection-opened' | 'connection-closed' | 'dial-refused' | 'dial-accepted';

const OPEN_TIMEOUT_MS = 1_000;
/** The node sends a newline every 5 s. */
const SILENT_AFTER_MS = 15_000;
const DIAL_TIMEOUT_MS = 250;
const DIALS_APART_MS = 21;
/** The process is just being ended: a moment later its port is closed too. */
const DROPPED_PAUSE_MS = 2;
const DIALS_AFTER_CLOSE = 12;
const RETRY = { baseMs: 100, capMs: 1_000 };

/**
 * Holds a connection to a node for as long as it lives. When a process ends, however it ends, the kernel closes its
 * sockets: the quickest evidence of a crash there is. What a closed connection means is found out by dialling anew:
 * at once, and again a little over 20 ms later.
 */
export class LivenessConnection {
  private readonly abort = new AbortController();
  private readonly loop: Promise<void>;
  private current: ClientRequest | undefined;

  constructor(
    readonly address: string,
    private readonly tell: (event: LivenessEvent) => void,
  ) {
    this.loop = this.run();
  }

  async stop(): Promise<void> {
    this.abort.abort(new Error('the tether was dropped'));
    this.current?.destroy();
    await this.loop;
  }

  private async run(): Promise<void> {
    let failures = 0;
    while (!this.abort.signal.aborted) {
      const ended = await this.hold();
      if (this.abort.signal.aborted) return;
      if (ended === 'closed-by-peer') {
        this.tell('connection-closed');
        failures = 0;
        await this.findOut();
      } else if (ended === 'refused') {
        this.tell('dial-refused');
      }
      await this.pause(fullJitterMs(RETRY, failures++, systemRng));
    }
  }

  /** Resolves when the connection has ended, or could not be had. */
  private hold(): Promise<'closed-by-peer' | 'dropped' | 'refused' | 'failed'> {
    return new Promise((resolve) => {
      const url = new URL('/internal/tether', this.address);
      const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
        agent: false,
        timeout: OPEN_TIMEOUT_MS,
      });
      this.current = request;
      let open = false;
      let dropped = false;
      const drop = () => {
        dropped = true;
        request.destroy();
      };
      request.on('timeout', drop);
      request.on('response', (response) => {
        if (response.statusCode !== 200) {
          drop();
          return;
        }
        open = true;
        response.socket.setTimeout(SILENT_AFTER_MS);
        response.resume();
        // An end without an error is a close by the peer too: it shut down in good order.
        response.on('error', () => undefined);
        response.on('close', () => resolve(dropped ? 'dropped' : 'closed-by-peer'));
        this.tell('connection-opened');
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        if (!open) resolve(error.code === 'ECONNREFUSED' ? 'refused' : 'failed');
      });
      request.on('close', () => {
        if (!open) resolve('failed');
      });
      request.end();
    });
  }

  private async findOut(): Promise<void> {
    for (let tries = 0; tries < DIALS_AFTER_CLOSE && !this.abort.signal.aborted; tries++) {
      const outcome: DialOutcome = await dial(this.address, DIAL_TIMEOUT_MS);
      if (this.abort.signal.aborted) return;
      if (outcome === 'accepted') {
        this.tell('dial-accepted');
        return;
      }
      if (outcome === 'refused') this.tell('dial-refused');
      await this.pause(outcome === 'dropped' ? DROPPED_PAUSE_MS : DIALS_APART_MS);
    }
  }

  private async pause(ms: number): Promise<void> {
    try {
      await sleep(ms, this.abort.signal);
    } catch (error) {
      if (!this.abort.signal.aborted) throw error;
    }
  }
}
