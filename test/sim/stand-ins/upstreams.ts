import { theMachine } from '../cluster/machine.js';
import { type Answer, type Call, CallFailed } from '../world/network.js';
import { callDoor, hostOf } from './http.js';

/** The part of undici's handler that the gateway's attempts implement. */
interface Handler {
  onRequestStart?(controller: { abort(reason: Error): void }): void;
  onResponseStart?(controller: unknown, status: number, headers: Record<string, string>): void;
  onResponseData?(controller: unknown, chunk: Buffer): void;
  onResponseEnd?(): void;
  onResponseError?(controller: unknown, error: Error): void;
}

interface Dispatched {
  method: string;
  path: string;
  headers?: readonly string[];
  body?: Buffer;
}

const REQUEST_MS = 40_000;

/** A gateway's connections to nodes, over the simulated network. */
export class Upstreams {
  private readonly lost = new Set<(address: string) => void>();

  onConnectionLost(listener: (address: string) => void): void {
    this.lost.add(listener);
  }

  pool(address: string) {
    return {
      dispatch: (sent: Dispatched, handler: Handler) => this.dispatch(address, sent, handler),
      request: async ({ path, headersTimeout = REQUEST_MS }: { path: string; headersTimeout?: number }) => {
        const { status, body } = await callDoor(`${address}${path}`, undefined, headersTimeout);
        return { statusCode: status, body: { json: async () => body } };
      },
    };
  }

  connections(): Record<'open' | 'free' | 'waiting', number> {
    return { open: 0, free: 0, waiting: 0 };
  }

  tidy(): void {}

  async close(): Promise<void> {}

  private dispatch(
    address: string,
    { method, path, headers: list = [], body }: Dispatched,
    handler: Handler,
  ): void {
    const { network, process } = theMachine();
    const headers: Record<string, string> = { ':method': method };
    for (let i = 0; i + 1 < list.length; i += 2) headers[list[i] ?? ''] = list[i + 1] ?? '';
    let call: Call | undefined;
    const controller = { abort: () => call?.abandon() };
    // A connection is had first; one that cannot be had means that nothing was sent.
    if (!network.joined(process.name, hostOf(address))) {
      process.timer(1_000, () => handler.onResponseError?.(controller, new CallFailed('refused')));
      return;
    }
    if (!network.isListening(hostOf(address))) {
      process.deliverIn(1, () => handler.onResponseError?.(controller, new CallFailed('refused')));
      return;
    }
    handler.onRequestStart?.(controller);
    call = network.call(process, hostOf(address), { path, headers, body }, (result: Answer | CallFailed) => {
      if (result instanceof CallFailed) {
        handler.onResponseError?.(controller, result);
        for (const listener of this.lost) listener(address);
        return;
      }
      handler.onResponseStart?.(controller, result.status, result.headers);
      handler.onResponseData?.(controller, result.body as Buffer);
      handler.onResponseEnd?.();
    });
  }
}
