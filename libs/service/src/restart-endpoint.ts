import { Problem } from '#libs/contracts';
import type { Clock } from '#libs/kernel';

/** A process that was restarted lately is not restarted again: whoever asks so often asks for the wrong thing. */
const YOUNG_MS = 5_000;

/**
 * `POST /restart`: the process stops in good order, as on SIGTERM, and whoever runs it starts it again. At most once
 * in a process's life, and not in its first seconds.
 */
export class RestartEndpoint {
  private readonly bornMs: number;
  private asked = false;

  constructor(
    private readonly clock: Clock,
    private readonly stop: (why: string) => void,
  ) {
    this.bornMs = clock.monotonicMs();
  }

  /** Returns when the stop is decided on. It begins when the answer has had time to leave. */
  request(): { restarting: true } {
    if (this.asked) throw new Problem('shutting-down', 'this process is restarting');
    const ageMs = this.clock.monotonicMs() - this.bornMs;
    if (ageMs < YOUNG_MS) {
      throw new Problem('cluster-busy', `this process was started ${Math.round(ageMs)} ms ago`);
    }
    this.asked = true;
    setImmediate(() => this.stop('POST /restart'));
    return { restarting: true };
  }
}
