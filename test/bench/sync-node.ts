import fastify from 'fastify';
import { pino } from 'pino';
import { systemClock } from '#libs/kernel';
import type { Bus } from '#libs/messaging';
import { PrimaryPool } from '#libs/postgres';
import { registerCatchUp } from '../../apps/config-node/src/internal-api/catch-up.routes.js';
import { registerBodyParsers } from '../../apps/config-node/src/internal-api/request-input.js';
import { registerSnapshot } from '../../apps/config-node/src/internal-api/snapshot.routes.js';
import { PeerClient } from '../../apps/config-node/src/peers/peer-client.js';
import { PeerTable } from '../../apps/config-node/src/peers/peer-table.js';
import { ReplicaHost } from '../../apps/config-node/src/replica/replica-host.js';
import { LogSources } from '../../apps/config-node/src/replication/log-sources.js';
import { PushedChanges } from '../../apps/config-node/src/replication/pushed-changes.js';
import type { Replication } from '../../apps/config-node/src/replication/replication.js';
import { ConfigStore } from '../../apps/config-node/src/store/config.store.js';
import type { NodeOrder, NodeWord } from './sync-node.types.js';

/** A node as far as catching up needs one: replica, doors, and the ways to the log. A process of its own. */
const database = JSON.parse(process.argv[2] ?? '');
const host = new ReplicaHost('bench', systemClock);
const store = new ConfigStore(new PrimaryPool(database));
const client = new PeerClient('the key of the bench');
const silent = pino({ level: 'silent' });
// The log itself is asked: there is no bus, and there are no other nodes.
const sources = new LogSources(
  { connected: false } as Bus,
  store,
  new PeerTable('bench', [], 0, systemClock),
  client,
  silent,
);

const say = (word: NodeWord) => process.send?.(word, undefined, {}, () => undefined); // the bench may be gone
const standing = () => ({ version: host.replica.version, chain: host.replica.chain });

async function pull(to: number): Promise<void> {
  while (host.replica.version < to) {
    const changes = await sources.fromLog(host.replica.version);
    if (changes === 'compacted' || host.apply(changes) !== 'applied')
      throw new Error('the log does not go on');
  }
}

async function loadState(): Promise<void> {
  const { StateBuilder } = await import('#libs/replica');
  await store.loadState(async ({ clusterId, version, chain, term }, pages) => {
    const state = new StateBuilder();
    for await (const page of pages) for (const entry of page) state.add(entry);
    host.load({ clusterId, version, chain, term }, state, 'compacted');
  });
}

async function obey(order: NodeOrder): Promise<void> {
  if (order.do === 'pull') await pull(order.to);
  if (order.do === 'load') {
    const { header, state } = await client.snapshot(order.from);
    host.load(header, state, 'compacted');
  }
  if (order.do === 'read') await loadState();
}

process.on('message', (order: NodeOrder) => {
  const begin = performance.now();
  obey(order).then(
    () => say({ type: 'done', ms: performance.now() - begin, ...standing() }),
    (error: unknown) => say({ type: 'failed', why: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));

const receive: Replication['receive'] = (changes) => {
  host.apply(changes);
  return standing();
};
const replication = { receive, isLoading: false } as Replication;
const server = fastify();
registerBodyParsers(server);
registerCatchUp(server, { host, replication, pushed: new PushedChanges(replication) });
registerSnapshot(server, host);
const address = await server.listen({ port: 0, host: '127.0.0.1' });
setInterval(() => say({ type: 'stands', address, ...standing() }), 50);
