import { type DynamicModule, Module } from '@nestjs/common';
import { PostgresOutbox } from '#libs/control-service';
import type { Clock } from '#libs/kernel';
import { Bus, type BusLogger, DurableEvents, EventOutbox } from '#libs/messaging';
import { Metrics } from '#libs/observability';
import { PrimaryPool } from '#libs/postgres';
import { VerdictService } from './detection/verdict.service.js';
import { WitnessService } from './detection/witness.service.js';
import { FailureDetector } from './domain/detection/failure-detector.js';
import type { RestartDriver } from './drivers/restart-driver.js';
import { CandidatePoll } from './election/candidate-poll.js';
import { ElectionService } from './election/election.service.js';
import { HandoverService } from './election/handover.service.js';
import { ElectionsController } from './elections.controller.js';
import { EventsController } from './events.controller.js';
import type { FailoverSettings } from './failover.config.js';
import { FailoverMetrics } from './failover.metrics.js';
import { FailoverService } from './failover.service.js';
import { FailoverStore } from './failover.store.js';
import { HeadStore } from './head/head.store.js';
import { LeaderHeadMonitor } from './head/leader-head-monitor.js';
import { HealthPasses } from './nodes/health-passes.js';
import { HttpCalls } from './nodes/http-calls.js';
import { NodeWatch } from './nodes/node-watch.js';
import { RestrictionsView } from './nodes/restrictions-view.js';
import { OperatorService } from './operator.service.js';
import { RecoveryMetrics } from './recovery/recovery.metrics.js';
import { RecoveryService } from './recovery/recovery.service.js';
import { RecoveryStore } from './recovery/recovery.store.js';
import { Restarts } from './recovery/restarts.js';
import { RecoveryController } from './recovery.controller.js';

export interface FailoverParts {
  bus: Bus;
  pool: PrimaryPool;
  metrics: Metrics;
  logger: BusLogger;
  clock: Clock;
  settings: FailoverSettings;
  drivers: { http: RestartDriver; driver: RestartDriver | undefined };
}

@Module({})
export class FailoverModule {}

/** Wiring only, in the order in which the parts need each other. */
export function failoverModule({
  bus,
  pool,
  metrics,
  logger,
  clock,
  settings,
  drivers,
}: FailoverParts): DynamicModule {
  const store = new FailoverStore(pool);
  const headStore = new HeadStore(pool);
  const failoverMetrics = new FailoverMetrics(metrics);
  const stream = new DurableEvents(bus, logger);
  const outbox = new EventOutbox(stream, new PostgresOutbox(pool, 'failover'), logger, {
    everyMs: settings.outboxEveryMs,
  });
  const calls = new HttpCalls(settings.clusterKey);
  const core = new FailureDetector(settings.detector);
  const { headPollEveryMs, headPollWithoutBusMs } = settings.timings;
  const pollEveryMs = () => (bus.connected ? headPollEveryMs : headPollWithoutBusMs);
  const head = new LeaderHeadMonitor(headStore, bus, logger, clock, pollEveryMs);
  const nodes = new NodeWatch(calls, clock, settings);
  const holds = new RestrictionsView(clock);
  const polls = new CandidatePoll(bus, calls, nodes, holds, settings, logger);
  const witnesses = new WitnessService({ bus, store, nodes, detector: core, settings, clock, logger });
  const elections = new ElectionService({
    head,
    store: headStore,
    polls,
    outbox,
    detector: core,
    metrics: failoverMetrics,
    settings,
    clock,
    logger,
  });
  const detector = new VerdictService({
    detector: core,
    witnesses,
    elections,
    head,
    nodes,
    store,
    stream,
    outbox,
    bus,
    metrics: failoverMetrics,
    settings,
    clock,
    logger,
  });
  const handovers = new HandoverService({ head, nodes, holds, polls, elections, calls, clock, logger });
  const recoveryStore = new RecoveryStore(pool);
  const recoveryMetrics = new RecoveryMetrics(metrics);
  const { http, driver } = drivers;
  const recovery = new RecoveryService({
    store: recoveryStore,
    nodes,
    detector: core,
    health: new HealthPasses(calls),
    holds,
    restarts: new Restarts(http, driver, nodes, recoveryMetrics, logger),
    outbox,
    metrics: recoveryMetrics,
    settings,
    logger,
  });
  const operator = new OperatorService(recovery, handovers, head, nodes, settings);
  const service = new FailoverService({
    bus,
    store,
    nodes,
    detector,
    witnesses,
    elections,
    head,
    recovery,
    recoveryStore,
    settings,
    clock,
    logger,
  });
  return {
    module: FailoverModule,
    controllers: [EventsController, ElectionsController, RecoveryController],
    providers: [
      { provide: FailoverStore, useValue: store },
      { provide: EventOutbox, useValue: outbox },
      { provide: HttpCalls, useValue: calls },
      { provide: LeaderHeadMonitor, useValue: head },
      { provide: NodeWatch, useValue: nodes },
      { provide: WitnessService, useValue: witnesses },
      { provide: VerdictService, useValue: detector },
      { provide: HandoverService, useValue: handovers },
      { provide: RestrictionsView, useValue: holds },
      { provide: RecoveryStore, useValue: recoveryStore },
      { provide: OperatorService, useValue: operator },
      { provide: FailoverService, useValue: service },
    ],
  };
}
