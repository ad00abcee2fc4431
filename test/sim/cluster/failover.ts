import type { Bus } from '#libs/messaging';
import { VerdictService } from '../../../apps/failover/src/detection/verdict.service.js';
import { WitnessService } from '../../../apps/failover/src/detection/witness.service.js';
import { HandoverService } from '../../../apps/failover/src/election/handover.service.js';
import { ElectionsController } from '../../../apps/failover/src/elections.controller.js';
import { EventsController } from '../../../apps/failover/src/events.controller.js';
import { failoverSettings, loadFailoverSettings } from '../../../apps/failover/src/failover.config.js';
import { failoverModule } from '../../../apps/failover/src/failover.module.js';
import { FailoverService } from '../../../apps/failover/src/failover.service.js';
import { FailoverStore } from '../../../apps/failover/src/failover.store.js';
import { LeaderHeadMonitor } from '../../../apps/failover/src/head/leader-head-monitor.js';
import { NodeWatch } from '../../../apps/failover/src/nodes/node-watch.js';
import { RestrictionsView } from '../../../apps/failover/src/nodes/restrictions-view.js';
import { asPrimaryPool, SimPool } from '../database/sim-pool.js';
import { askDoor } from '../stand-ins/http.js';
import type { SimProcess } from '../world/process.js';
import type { Platform } from './platform.js';
import { noMetrics, traceLogger } from './silent.js';
import { asBus, SimBus } from './sim-bus.js';

type Class<T> = abstract new (...values: never[]) => T;
type Driver = NonNullable<Parameters<typeof failoverModule>[0]['drivers']['driver']>;

const RESTART_MS = 2_000;
const SETTINGS = { HOLDFAST_CLUSTER_KEY: 'key-of-the-simulated-cluster', HOLDFAST_RECOVERY_DRIVER: 'docker' };

/** A failover instance: its real services, wired as its module wires them, listening as its controller does. */
export function startFailover(platform: Platform, process: SimProcess): void {
  const bus = asBus(new SimBus(process, platform.broker));
  const pool = asPrimaryPool(new SimPool(process, platform.network, platform.database));
  const loaded = loadFailoverSettings({ argv: [], env: SETTINGS, readFile: () => '' });
  const settings = failoverSettings(loaded, process.name);
  const logger = traceLogger(process);
  const { clock } = process;
  const drivers = driversOf(platform, process);
  const parts = { bus, pool, metrics: noMetrics, logger, clock, settings, drivers };
  const { providers = [] } = failoverModule(parts);
  const part = <T>(token: Class<T>): T => {
    const found = providers.find((provider) => 'provide' in provider && provider.provide === token);
    if (found === undefined || !('useValue' in found)) throw new Error(`failover has no ${token.name}`);
    return found.useValue as T;
  };
  const events = new EventsController(
    part(NodeWatch),
    part(VerdictService),
    part(LeaderHeadMonitor),
    part(RestrictionsView),
  );
  const elections = new ElectionsController(part(WitnessService), part(HandoverService), part(FailoverStore));
  listen(bus, events, elections);
  part(FailoverService).start(platform.nodeSeeds);
}

/** A node that answers restarts itself; whoever runs the processes starts one that does not. */
function driversOf(platform: Platform, process: SimProcess): { http: Driver; driver: Driver } {
  const close = async () => undefined;
  return {
    http: {
      name: 'http',
      close,
      restart: async ({ address = '' }) => {
        try {
          await askDoor(`${address}/restart`, {}, RESTART_MS);
          return { outcome: 'done' };
        } catch (error) {
          return { outcome: 'unreachable', detail: String(error) };
        }
      },
    },
    driver: {
      name: 'docker',
      close,
      restart: async ({ nodeId }) => {
        process.world.in(1, () => platform.restart(nodeId));
        return { outcome: 'done' };
      },
    },
  };
}

function listen(bus: Bus, events: EventsController, elections: ElectionsController): void {
  bus.handle('failover.witness', (request) => elections.witness(request));
  bus.handle('failover.handover', (request) => elections.handover(request), { queue: 'failover' });
  bus.subscribe('node.heartbeat', (beat) => events.heartbeat(beat));
  bus.subscribe('node.registered', (fact) => events.registered(fact));
  bus.subscribe('node.deregistered', (fact) => events.deregistered(fact));
  bus.subscribe('node.failed', (verdict) => events.failed(verdict));
  bus.subscribe('node.recovered', (verdict) => events.recovered(verdict));
  bus.subscribe('leader.lost', (lost) => events.lost(lost));
  bus.subscribe('leader.elected', (elected) => events.elected(elected));
  bus.subscribe('node.hold', (hold) => events.held(hold));
}
