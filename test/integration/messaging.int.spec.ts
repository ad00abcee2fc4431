import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Problem } from '#libs/contracts';
import { type NatsServer, startNats } from '#libs/embedded-servers';
import { Bus, BusError, BusStrategy, DurableEvents, type StoredEvent } from '#libs/messaging';
import { FaultProxy, signing } from '#libs/testing';

const logger = pino({ level: 'silent' });
const KEY = 'the-key-of-this-test';
let home: string;
let nats: NatsServer;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-messaging-'));
  nats = await startNats({ dir: join(home, 'nats') });
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(async () => {
  await nats.stop();
  await rm(home, { recursive: true, force: true });
});

function newBus(name = 'test', port = nats.port): Bus {
  const bus = Bus.connect({
    clusterKey: KEY,
    servers: [`127.0.0.1:${port}`],
    user: nats.user,
    password: nats.password,
    name,
    logger,
  });
  closers.push(() => bus.close());
  return bus;
}

async function connected(name?: string): Promise<Bus> {
  const bus = newBus(name);
  await until(() => bus.connected);
  return bus;
}

async function bareClient(): Promise<NatsConnection> {
  const client = await connect({ servers: `127.0.0.1:${nats.port}`, user: nats.user, pass: nats.password });
  closers.push(() => client.close());
  return client;
}

const signedClient = async () => signing(await bareClient(), KEY);

async function until(done: () => boolean, withinMs = 5_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!done()) {
    if (performance.now() > deadline) throw new Error('it did not come about in time');
    await wait(5);
  }
}

const heartbeat = (seq: number) => ({ nodeId: 'node-1', incarnation: 1, seq });

describe('facts', () => {
  it('reach a bare client as plain JSON with CloudEvents headers', async () => {
    const client = await bareClient();
    const received = client.subscribe('node.heartbeat', { max: 1 });
    await client.flush();
    const bus = await connected('node-1');
    expect(bus.publish('node.heartbeat', heartbeat(7))).toBe(true);
    for await (const message of received) {
      expect(message.json()).toEqual(heartbeat(7));
      expect(message.headers?.get('ce-type')).toBe('holdfast.node.heartbeat');
      expect(message.headers?.get('ce-source')).toBe('/holdfast/node-1');
      expect(message.headers?.get('ce-id')).not.toBe('');
    }
  });

  it('are taken from a client that signs, with no other header, and dropped and counted when malformed', async () => {
    const bus = await connected();
    const seen: number[] = [];
    bus.subscribe('node.heartbeat', (beat) => void seen.push(beat.seq));
    await bus.flush();
    const client = await signedClient();
    client.publish('node.heartbeat', 'not json');
    client.publish('node.heartbeat', JSON.stringify({ ...heartbeat(1), incarnation: '1' }));
    client.publish('node.heartbeat', JSON.stringify({ ...heartbeat(2), unknownField: true }));
    await client.flush();
    await until(() => seen.length === 1);
    expect(seen).toEqual([2]);
    expect(bus.counts.invalid).toBe(2);
  });

  it('a subscriber that throws stops nobody', async () => {
    const bus = await connected();
    const seen: number[] = [];
    bus.subscribe('node.heartbeat', () => {
      throw new Error('first');
    });
    bus.subscribe('node.heartbeat', async () => {
      throw new Error('second');
    });
    bus.subscribe('node.heartbeat', (beat) => void seen.push(beat.seq));
    await bus.flush();
    bus.publish('node.heartbeat', heartbeat(3));
    await until(() => seen.length === 1 && bus.counts.failed === 2);
  });

  it("write a namespace's dots as = in the subject", async () => {
    const bus = await connected();
    const client = await bareClient();
    const received = client.subscribe('config.changed.*', { max: 1 });
    await client.flush();
    bus.publishFamily('config.changed', 'shop.orders', {
      namespace: 'shop.orders',
      version: 1,
      term: 1,
      author: null,
      comment: null,
      createdAt: '2026-01-01T00:00:00.000Z',
      keys: [],
    });
    for await (const message of received) expect(message.subject).toBe('config.changed.shop=orders');
  });

  it('that are too large are refused without harm', async () => {
    const bus = await connected();
    const operations = [{ op: 'delete' as const, namespace: 'a', key: 'x'.repeat(1_100_000) }];
    const chain = '0'.repeat(64);
    const change = {
      version: 1,
      term: 1,
      chain,
      kind: 'change' as const,
      author: null,
      comment: null,
      createdAt: '',
      operations,
    };
    const head = { term: 1, version: 1, chain };
    expect(bus.publish('sync.changes', { leaderId: 'node-1', head, changes: [change] })).toBe(false);
    expect(bus.publish('node.heartbeat', heartbeat(1))).toBe(true);
  });
});

describe('questions', () => {
  it('are answered, by one of a queue', async () => {
    const [asker, ...answerers] = await Promise.all([connected(), connected('a'), connected('b')]);
    const asked: string[] = [];
    for (const bus of answerers) {
      bus.handle(
        'registry.list',
        () => {
          asked.push(bus.name);
          return { nodes: [] };
        },
        { queue: 'registry' },
      );
      await bus.flush();
    }
    for (let i = 0; i < 20; i++) {
      expect(await asker.request('registry.list', {}, { timeoutMs: 1_000 })).toEqual({ nodes: [] });
    }
    expect(asked).toHaveLength(20);
  });

  it('fail by kind: nobody there, too late, not what the contract says', async () => {
    const bus = await connected();
    const ask = () => bus.request('registry.list', {}, { timeoutMs: 80 });
    await expect(ask()).rejects.toMatchObject({ name: 'BusError', kind: 'no-responders' });
    const client = await signedClient();
    const subscription = client.subscribe('registry.list', { callback: () => undefined });
    await client.flush();
    await expect(ask()).rejects.toMatchObject({ name: 'BusError', kind: 'timeout' });
    subscription.unsubscribe();
    client.subscribe('registry.list', { callback: (_error, message) => void message.respond('{"nodes":1}') });
    await client.flush();
    await expect(ask()).rejects.toMatchObject({ name: 'BusError', kind: 'invalid' });
  });

  it('bring a problem back, to a bare client too', async () => {
    const bus = await connected();
    bus.handle('registry.get', ({ nodeId }) => {
      throw new Problem('node-not-found', `no node ${nodeId}`, { nodeId });
    });
    await bus.flush();
    await expect(
      bus.request('registry.get', { nodeId: 'node-9' }, { timeoutMs: 1_000 }),
    ).rejects.toMatchObject({
      name: 'Problem',
      code: 'node-not-found',
      members: { nodeId: 'node-9' },
    });
    const client = await bareClient();
    const reply = await client.request('registry.get', '{"nodeId":"node-9"}', { timeout: 1_000 });
    expect(reply.headers?.get('Nats-Service-Error-Code')).toBe('404');
    expect(reply.headers?.get('Nats-Service-Error')).toBe('node-not-found');
    expect(reply.json()).toMatchObject({ code: 'node-not-found', status: 404 });
    const malformed = await client.request('registry.get', '{}', { timeout: 1_000 });
    expect(malformed.json()).toMatchObject({ code: 'invalid-request' });
  });

  it('to everyone end when enough came, when time is up, or when nobody is there', async () => {
    const [asker, a, b] = await Promise.all([connected(), connected('a'), connected('b')]);
    const request = { askedBy: 'x', nodeId: 'node-1', incarnation: 1 };
    const begin = performance.now();
    expect(await asker.requestMany('failover.witness', request, { waitMs: 2_000 })).toEqual([]);
    expect(performance.now() - begin).toBeLessThan(1_000);
    for (const bus of [a, b]) {
      bus.handle('failover.witness', () => ({ instanceId: bus.name, view: 'lost' }));
      await bus.flush();
    }
    const all = await asker.requestMany('failover.witness', request, { waitMs: 100 });
    expect(all.map((reply) => reply.instanceId).sort()).toEqual(['a', 'b']);
    const asked = performance.now();
    const first = await asker.requestMany('failover.witness', request, {
      waitMs: 2_000,
      enough: (replies) => replies.length > 0,
    });
    expect(first.length).toBeGreaterThan(0);
    expect(performance.now() - asked).toBeLessThan(1_000);
  });
});

describe('a bus that goes away', () => {
  it('refuses at once, buffers nothing, and finds its subscriptions again', async () => {
    const port = nats.port;
    const bus = await connected();
    const listener = await connected();
    const seen: number[] = [];
    const states: boolean[] = [];
    bus.onStatus((up) => states.push(up));
    listener.subscribe('node.heartbeat', (beat) => void seen.push(beat.seq));
    listener.handle('registry.list', () => ({ nodes: [] }));
    await listener.flush();

    await nats.stop();
    await until(() => !bus.connected && !listener.connected);
    expect(bus.publish('node.heartbeat', heartbeat(1))).toBe(false);
    await expect(bus.request('registry.list', {}, { timeoutMs: 1_000 })).rejects.toBeInstanceOf(BusError);
    listener.subscribe('sync.head', () => undefined);

    nats = await startNats({ dir: join(home, 'nats'), port });
    await until(() => bus.connected && listener.connected);
    await listener.flush();
    expect(bus.publish('node.heartbeat', heartbeat(2))).toBe(true);
    await until(() => seen.length > 0);
    expect(seen).toEqual([2]);
    expect(await bus.request('registry.list', {}, { timeoutMs: 1_000 })).toEqual({ nodes: [] });
    expect(states).toEqual([false, true]);
  });

  it('is made, used and closed with no server at all', async () => {
    const bus = newBus('lonely', 1);
    bus.subscribe('node.heartbeat', () => undefined);
    expect(bus.connected).toBe(false);
    expect(bus.publish('node.heartbeat', heartbeat(1))).toBe(false);
    await wait(200);
    await bus.close();
  });

  it('is noticed when the server is frozen, and found again when it thaws', async () => {
    const bus = await connected();
    const request = bus.request('registry.list', {}, { timeoutMs: 200 });
    await expect(request).rejects.toMatchObject({ kind: 'no-responders' });
    nats.kill('SIGSTOP');
    try {
      const begin = performance.now();
      await until(() => !bus.connected, 6_000);
      expect(performance.now() - begin).toBeLessThan(4_000);
    } finally {
      nats.kill('SIGCONT');
    }
    await until(() => bus.connected, 6_000);
  });
});

describe('subscriptions', () => {
  it('are confirmed when the server has them: a question asked from then on is answered', async () => {
    const proxy = await FaultProxy.start({ host: '127.0.0.1', port: nats.port });
    closers.push(() => proxy.close());
    const bus = newBus('far-away', proxy.port);
    await until(() => bus.connected);
    const asker = await connected();
    proxy.delay(300, 'up');
    bus.handle('sync.report', () => ({ head: 7, instances: [], nodes: [] }));
    await expect(asker.request('sync.report', {}, { timeoutMs: 100 })).rejects.toMatchObject({
      kind: 'no-responders',
    });
    expect(await bus.subscribed(5_000)).toBe(true);
    expect(await asker.request('sync.report', {}, { timeoutMs: 2_000 })).toMatchObject({ head: 7 });
  });

  it('are waited for on a connection that is still to come, and not for ever', async () => {
    const bus = newBus('early', nats.port);
    bus.handle('registry.list', () => ({ nodes: [] }));
    expect(await bus.subscribed(5_000)).toBe(true);
    const lonely = newBus('lonely', 1);
    lonely.subscribe('node.heartbeat', () => undefined);
    expect(await lonely.subscribed(50)).toBe(false);
  });

  it('stand before a Nest transport counts as listening', async () => {
    const proxy = await FaultProxy.start({ host: '127.0.0.1', port: nats.port });
    closers.push(() => proxy.close());
    const bus = newBus('far-away', proxy.port);
    await until(() => bus.connected);
    const asker = await connected();
    proxy.delay(300, 'up');
    const strategy = new BusStrategy(bus, { queue: 'test' });
    strategy.addHandler('registry.list', async () => ({ nodes: [] }));
    await new Promise<void>((resolve, reject) => {
      strategy.listen((error) => (error === undefined ? resolve() : reject(error)));
    });
    expect(await asker.request('registry.list', {}, { timeoutMs: 2_000 })).toEqual({ nodes: [] });
  });
});

describe('the stream of facts', () => {
  const verdict = (nodeId: string) => ({
    nodeId,
    incarnation: 1,
    verdict: 'failed' as const,
    reason: 'process-down' as const,
    judgedBy: 'failover-1',
    confirmedBy: [],
    evidence: {},
    at: '2026-01-01T00:00:00.000Z',
  });

  it('keeps a fact once by its id, replays from a position, and goes on live over a restart of the server', async () => {
    const bus = await connected();
    const stream = new DurableEvents(bus, logger);
    expect(await stream.ensure()).toBe(true);
    const before = (await stream.range())?.last ?? -1;
    expect(await stream.publish('node.failed', verdict('node-1'), 'verdict/1')).toBe('stored');
    expect(await stream.publish('node.failed', verdict('node-1'), 'verdict/1')).toBe('stored');
    expect(bus.publish('node.failed', verdict('node-2'), { id: 'verdict/2' })).toBe(true);

    const abort = new AbortController();
    const facts: StoredEvent[] = [];
    const reading = (async () => {
      for await (const fact of stream.follow(before, abort.signal)) facts.push(fact);
    })();
    await until(() => facts.length === 2);
    expect(facts.map((fact) => fact.id)).toEqual(['verdict/1', 'verdict/2']);
    expect(facts[0]).toMatchObject({ subject: 'node.failed', payload: verdict('node-1') });

    const port = nats.port;
    await nats.stop();
    await until(() => !bus.connected);
    expect(await stream.publish('node.failed', verdict('node-3'), 'verdict/3')).toBe('unconfirmed');
    nats = await startNats({ dir: join(home, 'nats'), port });
    await until(() => bus.connected);
    expect(await stream.publish('node.failed', verdict('node-3'), 'verdict/3')).toBe('stored');
    await until(() => facts.length === 3, 15_000);
    expect(facts[2]?.id).toBe('verdict/3');
    abort.abort();
    await reading;
  });
});
