import type { BusLogger } from '#libs/messaging';
import type { RestartOrder } from '../domain/recovery/recovery.types.js';
import type { RestartDriver, RestartResult } from '../drivers/restart-driver.js';
import { NodeWatch } from '../nodes/node-watch.js';
import { RecoveryMetrics } from './recovery.metrics.js';

/** Has nodes restarted by whoever can: one that answers is asked itself first, so that it can announce and hand over. */
export class Restarts {
  constructor(
    private readonly http: RestartDriver,
    /** For those that do not answer; undefined = nobody can. */
    private readonly driver: RestartDriver | undefined,
    private readonly nodes: NodeWatch,
    private readonly metrics: RecoveryMetrics,
    private readonly logger: BusLogger,
  ) {}

  async restart(order: RestartOrder, signal: AbortSignal): Promise<RestartResult & { driver: string }> {
    const drivers = [order.answers ? this.http : undefined, this.driver].filter((it) => it !== undefined);
    let last: RestartResult & { driver: string } = {
      ...{ driver: 'none', outcome: 'refused', detail: 'no recovery driver is set' },
    };
    for (const driver of drivers) {
      last = await this.ask(driver, order.nodeId, signal);
      // A node that answered and now breaks off may be on its way down: not a second time.
      if (last.outcome === 'done' || last.outcome === 'refused') break;
    }
    return last;
  }

  async close(): Promise<void> {
    await Promise.all([this.http.close(), this.driver?.close()]);
  }

  private async ask(driver: RestartDriver, nodeId: string, signal: AbortSignal) {
    const address = this.nodes.directory.get(nodeId)?.address;
    const result = await driver.restart({ nodeId, address }, signal);
    this.metrics.restarts.inc({ driver: driver.name, outcome: result.outcome });
    this.logger.info({ nodeId, driver: driver.name, ...result }, 'restart of a node requested');
    return { ...result, driver: driver.name };
  }
}
