import { type Machine, theMachine } from '../cluster/machine.js';
import type { SimProcess } from '../world/process.js';
import { dialThen } from './dial.js';
import { hostOf } from './http.js';

export type LivenessEvent = 'connection-opened' | 'connection-closed' | 'dial-refused' | 'dial-accepted';

const SILENT_AFTER_MS = 15_000;
const DIAL_TIMEOUT_MS = 250;
const DIALS_APART_MS = 21;
const DIALS_AFTER_CLOSE = 12;
const RETRY_MS = 1_000;

/**
 * A connection to a node that is held for as long as it lives. That it closes is heard when the node's process ends
 * and its host can still say so; across a cut nothing is heard, and it is dropped when it was silent for long.
 */
export class LivenessConnection {
  private stopped = false;
  private readonly machine: Machine = theMachine();
  private forget: (() => void) | undefined;

  constructor(
    readonly address: string,
    private readonly tell: (event: LivenessEvent) => void,
  ) {
    this.machine.process.timer(0, () => this.hold());
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.forget?.();
  }

  private hold(): void {
    if (this.stopped) return;
    dialThen(this.address, RETRY_MS, (outcome) => {
      if (this.stopped) return;
      const peer = this.machine.peer(hostOf(this.address));
      if (outcome === 'accepted' && peer?.alive && !peer.isPaused) this.opened(peer);
      else {
        if (outcome === 'refused') this.tell('dial-refused');
        this.again();
      }
    });
  }

  private opened(peer: SimProcess): void {
    const { network, process } = this.machine;
    this.tell('connection-opened');
    this.forget = peer.whenDead(() => {
      if (!network.passes(peer.name, process.name)) {
        process.deliverIn(SILENT_AFTER_MS, () => this.again());
        return;
      }
      process.deliverIn(network.delayMs(peer.name, process.name), () => {
        if (this.stopped) return;
        this.tell('connection-closed');
        this.findOut(DIALS_AFTER_CLOSE);
      });
    });
  }

  private findOut(tries: number): void {
    if (this.stopped) return;
    if (tries === 0) {
      this.again();
      return;
    }
    dialThen(this.address, DIAL_TIMEOUT_MS, (outcome) => {
      if (this.stopped) return;
      if (outcome === 'accepted') {
        this.tell('dial-accepted');
        this.again();
        return;
      }
      if (outcome === 'refused') this.tell('dial-refused');
      this.machine.process.timer(DIALS_APART_MS, () => this.findOut(tries - 1));
    });
  }

  private again(): void {
    if (this.stopped) return;
    this.machine.process.timer(this.machine.process.rng.next() * RETRY_MS, () => this.hold());
  }
}
