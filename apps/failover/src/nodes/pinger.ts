import { NodePing } from '#libs/contracts';
import { type Clock, crashOnDefect } from '#libs/kernel';
import type { HttpCalls } from './http-calls.js';

export interface PingerSettings {
  pingEveryMs: number;
  pingTimeoutMs: number;
}

export type PingResult = { ok: true; ping: NodePing } | { ok: false; sentMs: number };

/** Several may be under way: a node that stopped answering must not slow the pace at which that is found out. */
const MAX_UNDER_WAY = 4;

/** Asks `GET /ping` of one node at a steady pace. */
export class Pinger {
  private readonly timer: NodeJS.Timeout;
  private readonly underWay = new Set<Promise<void>>();

  constructor(
    private readonly nodeId: string,
    private readonly address: () => string | undefined,
    private readonly calls: HttpCalls,
    private readonly clock: Clock,
    private readonly settings: PingerSettings,
    private readonly tell: (result: PingResult) => void,
  ) {
    this.timer = setInterval(() => this.send(), settings.pingEveryMs);
    this.send();
  }

  /** Now, without waiting for the next turn. */
  send(): void {
    if (this.underWay.size >= MAX_UNDER_WAY) return;
    const ping = this.ping().finally(() => this.underWay.delete(ping));
    this.underWay.add(ping);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.underWay);
  }

  private async ping(): Promise<void> {
    const sentMs = this.clock.monotonicMs();
    const address = this.address();
    const missed: PingResult = { ok: false, sentMs };
    if (address === undefined) {
      this.tell(missed);
      return;
    }
    try {
      const ping = await this.calls.get(`${address}/ping`, NodePing, this.settings.pingTimeoutMs);
      // Another node may have got the port of one that is gone.
      this.tell(ping.nodeId === this.nodeId ? { ok: true, ping } : missed);
    } catch (error) {
      crashOnDefect(error);
      // Why it failed does not matter here: refused, reset or too late, it was not answered.
      this.tell(missed);
    }
  }
}
