import { type Clock, type Repeating, repeat } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import type { LoadBalancer } from '../domain/nodes/load-balancer.js';

const TICK_MS = 100;

/** Lets time pass for the rotation, and tells whom it ejected and took back. */
export class LoadBalancerTicker {
  private timer: Repeating | undefined;

  constructor(
    private readonly balancer: LoadBalancer,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.timer = repeat(() => this.tick(), {
      everyMs: TICK_MS,
      onError: (error) => this.logger.error({ error }, 'updating the rotation failed: it is tried again'),
    });
  }

  async stop(): Promise<void> {
    await this.timer?.stop();
  }

  private tick(): void {
    for (const { id, ejectedForMs } of this.balancer.tick(this.clock.monotonicMs())) {
      if (ejectedForMs > 0)
        this.logger.warn({ ejected: id, ejectedForMs }, 'ejected a node that fails its requests');
      else this.logger.info({ id }, 'an ejected node may serve again');
    }
  }
}
