import type { Socket } from 'node:net';

export interface LaneFaults {
  delayMs: number;
  drop: boolean;
  paused: boolean;
  bytesPerSecond: number;
}

interface Parcel {
  /** null = the sender has ended. */
  bytes: Buffer | null;
  /** When it may set out; it arrives when its last byte has passed the bandwidth. */
  dueAt: number;
  arrivesAt?: number;
}

/** What a lane holds back before it stops reading from its sender. */
const HELD_BYTES = 1024 * 1024;

/** One direction of a proxied connection. It reads `faults` anew for each parcel. */
export class Lane {
  private readonly parcels: Parcel[] = [];
  private held = 0;
  private freeAt = 0;
  private timer: NodeJS.Timeout | undefined;
  private blocked = false;
  private stopped = false;
  lostBytes = false;

  private readonly from: Socket;
  private readonly to: Socket;
  private readonly faults: Readonly<LaneFaults>;

  constructor(from: Socket, to: Socket, faults: Readonly<LaneFaults>) {
    this.from = from;
    this.to = to;
    this.faults = faults;
    from.on('data', (bytes: Buffer) => this.take(bytes));
    from.on('end', () => this.take(null));
    to.on('drain', () => {
      this.blocked = false;
      this.pump();
    });
    to.on('close', () => this.stop());
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.parcels.length = 0;
  }

  /** Sends what is due; called again whenever something may have changed. */
  pump(): void {
    clearTimeout(this.timer);
    while (!this.stopped && !this.blocked && !this.faults.paused) {
      const parcel = this.parcels[0];
      if (!parcel) return;
      const waitMs = this.arrivalOf(parcel) - performance.now();
      if (waitMs > 0) {
        this.timer = setTimeout(() => this.pump(), waitMs);
        return;
      }
      this.parcels.shift();
      this.send(parcel.bytes);
    }
  }

  private arrivalOf(parcel: Parcel): number {
    if (parcel.arrivesAt === undefined) {
      const travelMs = ((parcel.bytes?.length ?? 0) / this.faults.bytesPerSecond) * 1000;
      parcel.arrivesAt = Math.max(parcel.dueAt, this.freeAt) + travelMs;
      this.freeAt = parcel.arrivesAt;
    }
    return parcel.arrivesAt;
  }

  private take(bytes: Buffer | null): void {
    if (this.faults.drop) {
      this.lostBytes = true;
      return;
    }
    if (this.stopped) return;
    this.parcels.push({ bytes, dueAt: performance.now() + this.faults.delayMs });
    this.held += bytes?.length ?? 0;
    if (this.held > HELD_BYTES) this.from.pause();
    this.pump();
  }

  private send(bytes: Buffer | null): void {
    if (bytes === null) {
      this.to.end();
      return;
    }
    this.held -= bytes.length;
    if (this.held <= HELD_BYTES && this.from.isPaused()) this.from.resume();
    if (this.faults.drop) this.lostBytes = true;
    else this.blocked = !this.to.write(bytes);
  }
}
