import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import {
  EVENT_FAMILIES,
  EVENTS,
  type EventSubject,
  memberMayPublish,
  memberMayRequest,
  REQUESTS,
  type RequestSubject,
} from '#libs/contracts';
import { type NatsServer, startNats } from '#libs/embedded-servers';
import { Bus, DurableEvents, Envelope, type FactFamily, MAC_HEADER } from '#libs/messaging';
import { until } from '#libs/testing';
import { leastSampleOf } from '../fixtures/contract-samples.js';

const KEY = 'the-key-of-this-cluster';
const logger = pino({ level: 'silent' });
const ours = new Envelope(KEY, '');
const theirs = new Envelope('the-key-of-another-one', '');

let home: string;
let nats: NatsServer;
let bare: NatsConnection;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-mac-'));
  nats = await startNats({ dir: join(home, 'nats') });
  bare = await connect({ port: nats.port, user: nats.user, pass: nats.password });
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(async () => {
  await bare.close();
  await nats.stop();
  await rm(home, { recursive: true, force: true });
});

async function openBus(options: { clusterKey?: string; subjectPrefix?: string } = {}): Promise<Bus> {
  const { user, password, port } = nats;
  const at = { servers: [`127.0.0.1:${port}`], user, password, name: 'test', logger };
  const bus = Bus.connect({ clusterKey: KEY, ...options, ...at });
  closers.push(() => bus.close());
  await until('connected', () => bus.connected, 5_000);
  return bus;
}

const bodyOf = (schema: z.ZodType) => Buffer.from(JSON.stringify(leastSampleOf(schema)));

function withMac(mac: string): MsgHdrs {
  const forged = headers();
  forged.set(MAC_HEADER, mac);
  return forged;
}

type Kind = 'fact' | 'request';
const FORGERIES: [string, (kind: Kind, subject: string, body: Buffer) => MsgHdrs | undefined][] = [
  ['no MAC', () => undefined],
  ['garbage for a MAC', () => withMac('A'.repeat(43))],
  ['the MAC of another cluster', (kind, subject, body) => theirs.seal({ kind, subject }, body)],
  ['the MAC of another subject', (kind, _subject, body) => ours.seal({ kind, subject: 'other' }, body)],
  ['the MAC of another payload', (kind, subject) => ours.seal({ kind, subject }, Buffer.from('{"a":0}'))],
  [
    'the MAC of another kind',
    (kind, subject, body) => ours.seal({ kind: kind === 'fact' ? 'request' : 'fact', subject }, body),
  ],
];

const facts = Object.keys(EVENTS) as EventSubject[];
const families = Object.keys(EVENT_FAMILIES) as FactFamily[];
const questions = Object.keys(REQUESTS) as RequestSubject[];

describe('finding 2: a forged message changes nothing', () => {
  it.each([...facts, ...families])('of the fact %s', async (subject) => {
    const bus = await openBus();
    let heard = 0;
    const isFact = Object.hasOwn(EVENTS, subject);
    if (isFact) bus.subscribe(subject as EventSubject, () => void heard++);
    else bus.subscribeFamily(subject as FactFamily, () => void heard++);
    await bus.flush();
    const schema = isFact
      ? EVENTS[subject as EventSubject].schema
      : EVENT_FAMILIES[subject as FactFamily].schema;
    const address = isFact ? subject : `${subject}.info`;
    const body = bodyOf(schema);
    for (const [, forge] of FORGERIES) {
      const forged = forge('fact', address, body);
      bare.publish(address, body, forged === undefined ? {} : { headers: forged });
    }
    bare.publish(address, body, { headers: ours.seal({ kind: 'fact', subject: address }, body) });
    await until('the true one is heard', () => heard > 0, 5_000);
    expect(heard).toBe(1);
    const { forged, ignored } = bus.counts;
    const isOfMembers = isFact && memberMayPublish(subject as EventSubject);
    expect({ forged, ignored }).toEqual(
      isOfMembers ? { forged: FORGERIES.length - 1, ignored: 1 } : { forged: FORGERIES.length, ignored: 0 },
    );
  });

  it.each(questions)('of the question %s', async (subject) => {
    const bus = await openBus();
    const asked: string[] = [];
    bus.handle(subject, (_request, speaker) => {
      asked.push(speaker);
      throw new Error('enough');
    });
    await bus.flush();
    const body = bodyOf(REQUESTS[subject].request);
    for (const [, forge] of FORGERIES) {
      const forged = forge('request', subject, body);
      bare.publish(subject, body, forged === undefined ? {} : { headers: forged });
    }
    bare.publish(subject, body, { headers: ours.seal({ kind: 'request', subject }, body) });
    await until('the true one is answered', () => asked.includes('cluster'), 5_000);
    expect(asked).toEqual(memberMayRequest(subject) ? ['member', 'cluster'] : ['cluster']);
    expect(bus.counts.forged).toBe(FORGERIES.length - (memberMayRequest(subject) ? 1 : 0));
  });

  it('in reply to a question, be it a true reply to another request', async () => {
    const bus = await openBus();
    const ask = () => bus.request('registry.list', {}, { timeoutMs: 1_000 });
    const body = Buffer.from('{"nodes":[]}');
    const replies: ((inbox: string) => MsgHdrs | undefined)[] = [
      () => undefined,
      () => ours.seal({ kind: 'reply', subject: 'registry.list', inbox: '_HOLDFAST_INBOX.other' }, body),
      (inbox) => ours.seal({ kind: 'reply', subject: 'registry.get', inbox }, body),
      (inbox) => theirs.seal({ kind: 'reply', subject: 'registry.list', inbox }, body),
      (inbox) => ours.seal({ kind: 'reply', subject: 'registry.list', inbox }, body),
    ];
    let next = 0;
    const subscription = bare.subscribe('registry.list', {
      callback: (_error, message) => {
        const given = replies[next++]?.(message.reply ?? '');
        message.respond(body, given === undefined ? {} : { headers: given });
      },
    });
    await bare.flush();
    for (let i = 1; i < replies.length; i++) await expect(ask()).rejects.toMatchObject({ kind: 'invalid' });
    expect(await ask()).toEqual({ nodes: [] });
    subscription.unsubscribe();
  });

  it('that the stream of facts keeps and replays', async () => {
    const bus = await openBus();
    const stream = new DurableEvents(bus, logger);
    expect(await stream.ensure()).toBe(true);
    const after = (await stream.range())?.last ?? 0;
    const body = bodyOf(EVENTS['leader.lost'].schema);
    bare.publish('leader.lost', body);
    await bare.flush();
    const lost = { nodeId: 'node-1', term: 7, reason: 'stopping', at: '2026-01-01T00:00:00.000Z' };
    expect(await stream.publish('leader.lost', lost, 'leader.lost/7')).toBe('stored');
    const abort = new AbortController();
    const heard: unknown[] = [];
    for await (const fact of stream.follow(after, abort.signal)) {
      heard.push(fact.payload);
      abort.abort();
    }
    expect(heard).toEqual([lost]);
    expect((await stream.range())?.last).toBe(after + 2);
  });
});

describe('finding 11: clusters that share a bus', () => {
  it('with a prefix each have subjects, questions and streams of their own', async () => {
    // Each stream reserves 1 GiB, and this server has two.
    const manager = await jetstreamManager(bare);
    for await (const { config } of manager.streams.list()) await manager.streams.delete(config.name);
    const [a, b] = await Promise.all([
      openBus({ subjectPrefix: 'team-a.prod' }),
      openBus({ subjectPrefix: 'b' }),
    ]);
    const heard: string[] = [];
    a.subscribe('leader.lost', () => void heard.push('a'));
    b.subscribe('leader.lost', () => void heard.push('b'));
    a.handle('registry.list', () => ({ nodes: [] }));
    await Promise.all([a.flush(), b.flush()]);
    const lost = { nodeId: 'node-1', term: 7, reason: 'stopping', at: '2026-01-01T00:00:00.000Z' };
    const streams = [new DurableEvents(a, logger), new DurableEvents(b, logger)];
    for (const stream of streams) expect(await stream.publish('leader.lost', lost, 'one')).toBe('stored');
    await until('each hears its own', () => heard.length === 2, 5_000);
    expect(heard.sort()).toEqual(['a', 'b']);
    for (const stream of streams) expect(await stream.range()).toEqual({ first: 1, last: 1 });
    await expect(b.request('registry.list', {}, { timeoutMs: 200 })).rejects.toMatchObject({
      kind: 'no-responders',
    });
    expect([a.counts.forged, b.counts.forged]).toEqual([0, 0]);
  });

  it('a message moved below the prefix of another cluster with the same key is dropped', async () => {
    const bus = await openBus({ subjectPrefix: 'b' });
    bus.subscribe('leader.lost', () => undefined);
    await bus.flush();
    const body = bodyOf(EVENTS['leader.lost'].schema);
    bare.publish('b.leader.lost', body, {
      headers: ours.seal({ kind: 'fact', subject: 'leader.lost' }, body),
    });
    await until('dropped', () => bus.counts.forged === 1, 5_000);
  });
});
