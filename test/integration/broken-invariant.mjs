/*
 * A service of the built libraries in which an invariant breaks on one of the ways into a process. Started by a test
 * alone: `node broken-invariant.mjs <way>`.
 */
import 'reflect-metadata';
import { Controller, Get, UseFilters } from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';
import { FailureLog, invariant, repeat, systemClock } from '../../dist/libs/kernel/src/index.js';
import { Bus, BusErrorFilter, BusStrategy } from '../../dist/libs/messaging/src/index.js';
import { createLogger, Metrics } from '../../dist/libs/observability/src/index.js';
import { PublicGuard, runService } from '../../dist/libs/service/src/index.js';

const [way, port, user, password] = process.argv.slice(2);
const logger = createLogger({ service: 'broken', node: 'broken-1', level: 'info' });
const clusterKey = 'k'.repeat(32);
const servers = [`127.0.0.1:${port}`];
const bus = Bus.connect({ servers, user, password, clusterKey, name: 'broken-1', logger });
const members = new Map();

/** Two members under one key can never be: the map says that there are. */
function breakInvariant() {
  members.set('node-1', [1, 2]);
  invariant(
    members.get('node-1').length === 1,
    `node-1 stands ${members.get('node-1').length} times in the list`,
  );
}
const useWrongly = () => members.get('node-2').length;

class BrokenController {
  http() {
    breakInvariant();
  }
  beat() {
    breakInvariant();
  }
}
Controller()(BrokenController);
if (way === 'nest-event') UseFilters(BusErrorFilter)(BrokenController);
Get('/broken')(
  BrokenController.prototype,
  'http',
  Object.getOwnPropertyDescriptor(BrokenController.prototype, 'http'),
);
if (way === 'nest-event') {
  EventPattern('node.heartbeat')(
    BrokenController.prototype,
    'beat',
    Object.getOwnPropertyDescriptor(BrokenController.prototype, 'beat'),
  );
}
class BrokenModule {}

const service = await runService({
  module: { module: BrokenModule, controllers: [BrokenController] },
  logger,
  metrics: new Metrics('broken', 'broken-1'),
  guard: new PublicGuard({ publicHosts: ['127.0.0.1'], corsOrigins: [], clusterKey }),
  ping: () => ({}),
  configure: (fastify) => {
    fastify.get('/raw', async () => useWrongly());
    fastify.get('/refused', async () => JSON.parse('{'));
  },
  strategies: [new BusStrategy(bus, { queue: 'broken' })],
  listen: { port: 0, host: '127.0.0.1' },
});

const begin = {
  loop: () =>
    repeat(breakInvariant, { everyMs: 10, onError: (error) => logger.debug({ error }, 'swallowed') }),
  'logged-loop': () =>
    new FailureLog(logger, systemClock).repeat('a task', async () => useWrongly(), { everyMs: 10 }),
  subscriber: () => bus.subscribe('node.heartbeat', () => breakInvariant()),
  question: () => bus.handle('registry.list', async () => breakInvariant()),
  'nest-event': () => undefined,
  'nest-http': () => undefined,
  'raw-http': () => undefined,
  none: () => undefined,
};
begin[way]();
if (!bus.connected) await new Promise((resolve) => bus.onStatus((connected) => connected && resolve()));
await bus.flush();
process.send({ ready: service.port });

const beat = { nodeId: 'node-1', incarnation: 1, seq: 1, kind: 'config-node' };
if (way === 'subscriber' || way === 'nest-event') bus.publish('node.heartbeat', beat);
if (way === 'question') await bus.request('registry.list', {}, { timeoutMs: 5_000 });
