import { DEFAULT_LOAD_PERCENT } from '#libs/balancer';
import { ReadProofs, RequestSigner } from '#libs/cluster-auth';
import { SYSTEM_NAMESPACE } from '#libs/contracts';
import { crashOnDefect, systemClock, systemRng } from '#libs/kernel';
import { Bus, DurableEvents } from '#libs/messaging';
import type { Logger, Metrics } from '#libs/observability';
import { PublicGuard } from '#libs/service';
import { FollowedNodeChoice } from './domain/log/followed-node-choice.js';
import { type BalancingSettings, SLOW_START_MS, strategyOf } from './domain/nodes/balancing-settings.js';
import { LoadBalancer } from './domain/nodes/load-balancer.js';
import { FirstReads } from './domain/reads/first-reads.js';
import { Hedging } from './domain/reads/hedging.js';
import { OwnWrites } from './domain/reads/own-writes.js';
import { StreamSlots } from './domain/reads/stream-slots.js';
import { WriteParking } from './domain/writes/write-parking.js';
import { EventFeed } from './events/event-feed.js';
import type { GatewaySettings } from './gateway.config.js';
import { AskNode } from './nodes/ask-node.js';
import { BalancingKey } from './nodes/balancing-key.js';
import { LoadBalancerTicker } from './nodes/load-balancer-ticker.js';
import { NodeBusListener } from './nodes/node-bus-listener.js';
import { NodeDirectory } from './nodes/node-directory.js';
import { NodeProber } from './nodes/node-prober.js';
import { registerUpstreamMetrics } from './nodes/upstream.metrics.js';
import { Upstreams } from './nodes/upstreams.js';
import type { AnswerTurn } from './proxy/answer-turn.js';
import { Edge } from './proxy/edge.js';
import { ProxyMetrics } from './proxy/proxy.metrics.js';
import { ReadProxy } from './proxy/read-proxy.js';
import { WriteProxy } from './proxy/write-proxy.js';
import { FollowingHub } from './watch/following-hub.js';
import { LogFollower } from './watch/log-follower.js';
import { NodeLog } from './watch/node-log.js';

/** Large answers that are passed on at once; the others wait at the nodes. */
const LARGE_ANSWERS_AT_ONCE = 2;

export type GatewayParts = ReturnType<typeof assembleGateway>;

/** The parts of one gateway. None of them has started: gateway.app.ts starts and stops them. */
export function assembleGateway(
  settings: GatewaySettings,
  instanceId: string,
  logger: Logger,
  metrics: Metrics,
) {
  const { clusterKey } = settings;
  const clock = systemClock;
  const monotonicMs = () => clock.monotonicMs();
  const bus = Bus.connect({
    servers: settings.natsServers,
    user: settings.natsUser,
    password: settings.natsPassword,
    clusterKey: settings.clusterKey,
    subjectPrefix: settings.subjectPrefix,
    name: instanceId,
    logger,
  });
  const guard = new PublicGuard(settings);
  const proofs = new ReadProofs(clusterKey);
  const signer = new RequestSigner(clusterKey);
  const upstreams = new Upstreams();
  const directory = new NodeDirectory(settings.nodes, clock);
  upstreams.onConnectionLost((address) => directory.doubt(address));
  const balancing: BalancingSettings = {
    strategy: settings.balancing,
    hedge: settings.hedgeReads === '1',
    slowStartMs: SLOW_START_MS,
    loadPercent: DEFAULT_LOAD_PERCENT,
  };
  const balancer = new LoadBalancer(directory.table, {
    strategy: strategyOf(balancing, systemRng.int(1_000)),
    slowStartMs: balancing.slowStartMs,
  });
  const hedging = new Hedging(balancing.hedge);
  const nodes = new AskNode(balancer, upstreams, signer, clock);
  const balancingKey = new BalancingKey({ own: balancing, balancer, hedging, nodes, logger });
  registerUpstreamMetrics(metrics, directory.table, upstreams);
  const proxyMetrics = new ProxyMetrics(metrics);
  const parking = new WriteParking();
  const ownWrites = new OwnWrites();
  const reads = new ReadProxy({
    directory,
    upstreams,
    balancer,
    hedging,
    ownWrites,
    firstReads: new FirstReads(),
    metrics: proxyMetrics,
    proofs,
    largeAnswers: new StreamSlots<AnswerTurn>(LARGE_ANSWERS_AT_ONCE, (turn) => turn.granted()),
    monotonicMs,
  });
  const writes = new WriteProxy({
    directory,
    upstreams,
    parking,
    balancer,
    ownWrites,
    metrics: proxyMetrics,
    clusterKey,
    monotonicMs,
    logger,
  });
  const prober = new NodeProber({ directory, upstreams, clock, logger, urgent: () => writes.parked > 0 });
  const follower = new LogFollower({
    directory,
    prober,
    upstreams,
    balancer,
    choice: new FollowedNodeChoice(instanceId, systemRng.next()),
    nodeLog: new NodeLog(nodes),
    signer,
    clock,
    logger,
  });
  follower.onChanges((changes) => {
    const nowMs = monotonicMs();
    for (const { version, operations } of changes) {
      for (const { namespace, key } of operations) ownWrites.committed(namespace, key, version, nowMs);
      if (operations.some(({ namespace }) => namespace === SYSTEM_NAMESPACE)) balancingKey.changed(version);
    }
  });
  const hub = new FollowingHub(follower, {
    clock,
    onError: (error) => {
      crashOnDefect(error);
      logger.warn({ error }, 'serving a watcher failed: its stream is ended');
    },
  });
  metrics.gauge('bus_messages', 'Messages of the bus since the start', ['outcome'], (gauge) => {
    for (const [outcome, count] of Object.entries(bus.counts)) gauge.set({ outcome }, count);
  });
  metrics.gauge('gateway_watchers', 'Open watch streams', [], (gauge) => gauge.set(hub.counts.watchers));
  return {
    bus,
    guard,
    upstreams,
    directory,
    reads,
    writes,
    prober,
    balancer,
    balancerTicker: new LoadBalancerTicker(balancer, clock, logger),
    balancingKey,
    follower,
    hub,
    news: new NodeBusListener(bus, directory, logger),
    edge: new Edge(guard, reads, writes),
    feed: new EventFeed(bus, new DurableEvents(bus, logger), logger),
  };
}
