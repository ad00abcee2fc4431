import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '#libs/contracts';
import { FaultProxy } from '#libs/testing';
import { SyncNodeClient } from '../../../apps/sync/src/sync-node-client.js';
import { EventStream } from '../gateway/event-stream.js';
import { type RunningGateway, startGateway } from '../gateway/running-gateway.js';
import { CLUSTER_KEY, type EngineLab, type LabNode, openEngineLab, put, until, write } from './engine-lab.js';

let lab: EngineLab;
let leader: LabNode;
const closers: (() => unknown)[] = [];

beforeEach(async () => {
  lab = await openEngineLab();
  leader = await lab.node('node-1');
  await lab.elect(leader);
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await lab.close();
});

async function watchAtGateway(query: string): Promise<EventStream> {
  const gateway: RunningGateway = await startGateway([leader], { HOLDFAST_CLUSTER_KEY: CLUSTER_KEY });
  closers.push(() => gateway.stop());
  const stream = new EventStream(`${gateway.base}/v1/namespaces/app/watch?${query}`);
  closers.push(() => stream.close());
  await until(() => stream.of('bookmark').length > 0, 'the watch has begun');
  return stream;
}

/** Change sets that take the most bytes on their way: in JSON the first would be 18 MiB. */
async function publishLargest(): Promise<void> {
  const zeros = Buffer.alloc(LIMITS.valueBytes);
  await leader.engine.publisher.submit(write(['a', 'b', 'c'].map((key) => put(key, zeros))));
  const name = '\\"'.repeat(LIMITS.keyBytes / 2 - 2);
  const operations = Array.from({ length: LIMITS.changeSetOperations }, (_, i) =>
    put(`${name}${String(i).padStart(4, '"')}`, ''),
  );
  const notes = '\u0001'.repeat(LIMITS.metadataBytes);
  await leader.engine.publisher.submit(write(operations, { comment: notes, author: notes }));
  await leader.engine.publisher.submit(write([put('small', 'later')]));
}

describe('finding 1: change sets of the largest form', () => {
  it('reach the watches at a gateway, live and from the past, and what follows does too', async () => {
    const live = await watchAtGateway('prefix=');
    await publishLargest();
    await until(() => live.versions.length === 3, 'all are delivered');
    expect(live.versions).toEqual([1, 2, 3]);
    const [binaries, keys] = live.of('change').map((event) => event.data.operations as { value: string }[]);
    const sizes = binaries?.map(({ value }) => Buffer.from(value, 'base64').length);
    expect(sizes).toEqual([LIMITS.valueBytes, LIMITS.valueBytes, LIMITS.valueBytes]);
    expect(keys).toHaveLength(LIMITS.changeSetOperations);
    const past = await watchAtGateway('prefix=&from=0');
    await until(() => past.versions.length === 3, 'the past is delivered');
  });

  it('are pushed by the sync service, and pulled by a node that has neither bus nor database', async () => {
    const database = await FaultProxy.start({ host: lab.storage.server.host, port: lab.storage.server.port });
    const bus = await FaultProxy.start({ host: lab.nats.host, port: lab.nats.port });
    closers.push(
      () => database.close(),
      () => bus.close(),
    );
    const options = { database: { host: '127.0.0.1', port: database.port }, natsPort: bus.port };
    const follower = await lab.node('node-2', options);
    const isLevel = () => follower.replica.chain === leader.replica.chain;
    await until(isLevel, 'level');
    for (const proxy of [database, bus]) {
      proxy.refuse();
      proxy.reset();
    }
    await publishLargest();
    const changes = leader.replica.changesAfter(0, 10, Number.MAX_SAFE_INTEGER);
    if (changes === 'compacted') throw new Error('the leader holds the whole log');
    const calls = new SyncNodeClient(CLUSTER_KEY);
    closers.push(() => calls.close());
    const { version, chain } = leader.replica;
    expect(await calls.push(follower.address, changes, 10_000)).toEqual({ version, chain });
    const { PeerClient } = await import('../../../apps/config-node/src/peers/peer-client.js');
    expect(await new PeerClient(CLUSTER_KEY).log(leader.address, 0, 10)).toEqual(changes);
    const fresh = await lab.node('node-3');
    await until(() => fresh.replica.chain === chain, 'a new node has loaded it');
  });
});
