import type { Rng } from '#libs/kernel';
import type { SimProcess } from './process.js';
import type { World } from './world.js';

/** How a call of another process failed before it was answered. */
export class CallFailed extends Error {
  override readonly name = 'CallFailed';
  readonly code: string;

  constructor(readonly how: 'refused' | 'reset') {
    super(`connection ${how}`);
    this.code = how === 'refused' ? 'ECONNREFUSED' : 'ECONNRESET';
  }
}

/** The answer of an HTTP door. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: unknown;
}

export interface Asked {
  path: string;
  headers: Readonly<Record<string, string>>;
  body: unknown;
  /** The caller has closed the connection. */
  onGone(listener: () => void): void;
}

export type Door = (asked: Asked, reply: (answer: Answer) => void) => void;

export interface Call {
  abandon(): void;
}

/** What can be wrong with a direction between two places. */
interface Trouble {
  cuts: number;
  slowMs: number;
}

const RETRANSMIT_MS = 200;

/** Connections between places (processes, the database, the bus): delayed, slowed, or cut in either direction. */
export class Network {
  private readonly troubles = new Map<string, Map<string, Trouble>>();
  /** Whether anything is wrong anywhere: mostly nothing is. */
  private isTroubled = false;
  private readonly doors = new Map<string, { process: SimProcess; door: Door }>();
  private readonly rng: Rng;
  /** Told whenever something between two places was cut or mended. */
  private readonly onChange: (() => void)[] = [];

  constructor(private readonly world: World) {
    this.rng = world.rng('network');
  }

  whenChanged(listener: () => void): void {
    this.onChange.push(listener);
  }

  cut(from: string, to: string): void {
    this.trouble(from, to).cuts++;
    this.look();
    for (const listener of this.onChange) listener();
  }

  mend(from: string, to: string): void {
    this.trouble(from, to).cuts--;
    this.look();
    for (const listener of this.onChange) listener();
  }

  slow(from: string, to: string, byMs: number): void {
    this.trouble(from, to).slowMs += byMs;
    this.look();
  }

  passes(from: string, to: string): boolean {
    return !this.isTroubled || (this.troubles.get(from)?.get(to)?.cuts ?? 0) <= 0;
  }

  joined(a: string, b: string): boolean {
    return this.passes(a, b) && this.passes(b, a);
  }

  delayMs(from: string, to: string): number {
    const slowMs = this.isTroubled ? (this.troubles.get(from)?.get(to)?.slowMs ?? 0) : 0;
    const base = 0.1 + this.rng.next() * 0.4;
    if (slowMs <= 0) return base;
    // A lost segment is sent again after a while.
    return base + this.rng.next() * slowMs + (this.rng.int(8) === 0 ? RETRANSMIT_MS : 0);
  }

  listen(process: SimProcess, door: Door): void {
    this.doors.set(process.name, { process, door });
  }

  isListening(name: string): boolean {
    return this.doors.get(name)?.process.alive ?? false;
  }

  /** `done` is called inside `from`, at most once: never when nothing comes back, which is the caller's to bound. */
  call(
    from: SimProcess,
    to: string,
    asked: { path: string; headers?: Record<string, string>; body?: unknown },
    done: (result: Answer | CallFailed) => void,
  ): Call {
    let over = false;
    let arrived = false;
    const gone: (() => void)[] = [];
    const finish = (result: Answer | CallFailed) => {
      if (over) return;
      over = true;
      done(result);
    };
    const back = (result: Answer | CallFailed) => {
      if (!this.passes(to, from.name)) return;
      from.deliverIn(this.delayMs(to, from.name), () => finish(result));
    };
    const arrive = () => {
      if (over) return;
      const listener = this.doors.get(to);
      if (!listener?.process.alive) return back(new CallFailed('refused'));
      const { process, door } = listener;
      arrived = true;
      let answered = false;
      const forget = process.whenDead(() => {
        if (!answered && !over) back(new CallFailed('reset'));
      });
      process.deliver(() => {
        if (over) return;
        const { path, headers = {}, body } = asked;
        door({ path, headers, body, onGone: (heard) => gone.push(heard) }, (answer) => {
          if (answered) return;
          answered = true;
          forget();
          back(answer);
        });
      });
    };
    // Both directions are needed before a request can leave.
    if (this.joined(from.name, to)) this.world.in(this.delayMs(from.name, to), arrive);
    return {
      abandon: () => {
        if (over) return;
        over = true;
        const listener = this.doors.get(to);
        if (!arrived || listener === undefined || !this.passes(from.name, to)) return;
        listener.process.deliverIn(this.delayMs(from.name, to), () => {
          for (const heard of gone) heard();
        });
      },
    };
  }

  private trouble(from: string, to: string): Trouble {
    let ofFrom = this.troubles.get(from);
    if (ofFrom === undefined) {
      ofFrom = new Map();
      this.troubles.set(from, ofFrom);
    }
    let trouble = ofFrom.get(to);
    if (trouble === undefined) {
      trouble = { cuts: 0, slowMs: 0 };
      ofFrom.set(to, trouble);
    }
    return trouble;
  }

  private look(): void {
    this.isTroubled = [...this.troubles.values()].some((ofFrom) =>
      [...ofFrom.values()].some(({ cuts, slowMs }) => cuts > 0 || slowMs > 0),
    );
  }
}
