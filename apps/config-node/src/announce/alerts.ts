import type { Clock } from '#libs/kernel';
import type { Bus } from '#libs/messaging';

/** Tells of what an operator must look at. Best effort: whoever raises an alert also logs it. */
export class Alerts {
  constructor(
    private readonly nodeId: string,
    private readonly bus: Bus,
    private readonly clock: Clock,
  ) {}

  /** @param node the one that is in trouble; this one by default */
  critical(name: string, summary: string, node = this.nodeId): void {
    this.bus.publishFamily('alert.raised', 'critical', {
      name,
      severity: 'critical',
      summary,
      labels: { node },
      at: new Date(this.clock.wallMs()).toISOString(),
    });
  }
}
