import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EVENT_FAMILIES, EVENTS, REQUESTS } from '#libs/contracts';
import { type NatsLogin, type NatsServer, startNats } from '#libs/embedded-servers';
import { Bus } from '#libs/messaging';
import { until } from '#libs/testing';

const logger = pino({ level: 'silent' });

/** Every subject of the contracts, of the replies and of JetStream. */
const CONTRACTS = [
  ...Object.keys(EVENTS),
  ...Object.keys(EVENT_FAMILIES).map((family) => `${family}.info`),
  ...Object.keys(REQUESTS),
  'election.poll.node-1',
  'anything.else',
];
const WITHOUT_PREFIX = [
  '_INBOX.x',
  '_HOLDFAST_INBOX.x',
  '$JS.API.STREAM.DELETE.HOLDFAST_FACTS',
  '$JS.API.CONSUMER.CREATE.HOLDFAST_FACTS',
];
const MEMBER_PUBLISHES = [
  'node.heartbeat',
  'registry.deregister',
  'registry.get',
  'registry.list',
  'registry.register',
];
/** Written out: a new subject needs a decision here. `sync.changes` carries the values of configurations. */
const LISTENER_RECEIVES = [
  'alert.raised.info',
  'config.changed.info',
  'consistency.checked',
  'consistency.repaired',
  'health.changed',
  'health.standing',
  'leader.elected',
  'leader.lost',
  'node.deregistered',
  'node.failed',
  'node.heartbeat',
  'node.hold',
  'node.recovered',
  'node.registered',
  'node.status',
  'recovery.step',
  'sync.diverged',
  'sync.head',
  'sync.lagging',
  'sync.level',
];

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-roles-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe.each(['', 'team-a.prod'])(
  'finding 2: users of the bus below the prefix "%s", by every subject',
  (prefix) => {
    const below = (subject: string) => (prefix === '' ? subject : `${prefix}.${subject}`);
    const subjects = [...new Set([...CONTRACTS.map(below), ...CONTRACTS, ...WITHOUT_PREFIX])].sort();
    const opened: NatsConnection[] = [];
    let nats: NatsServer;
    let internal: NatsConnection;

    const open = async ({ user, password }: NatsLogin) => {
      const connection = await connect({ port: nats.port, user, pass: password });
      opened.push(connection);
      return connection;
    };

    beforeAll(async () => {
      const home = join(dir, `of-${prefix}`);
      nats = await startNats({
        dir: join(home, 'nats'),
        secretsDir: join(home, 'secrets'),
        subjectPrefix: prefix,
      });
      internal = await open(nats);
    });
    afterAll(async () => {
      for (const connection of opened) await connection.close();
      await nats.stop();
    });

    /** The subjects whose messages arrive: one is sent to each, and a flush of both sides follows. */
    const published = async (by: NatsConnection): Promise<string[]> => {
      const heard: string[] = [];
      const spy = internal.subscribe('>', { callback: (_error, { subject }) => void heard.push(subject) });
      await internal.flush();
      for (const subject of subjects) by.publish(subject, '{}');
      await by.flush();
      await internal.flush();
      spy.unsubscribe();
      return [...new Set(heard)].filter((subject) => subjects.includes(subject)).sort();
    };

    /** The subjects whose messages the user receives, however it subscribes. */
    const received = async (by: NatsConnection): Promise<string[]> => {
      const heard: string[] = [];
      const wildcards = ['>', '*.>', below('*.*'), below('>'), '_HOLDFAST_INBOX.>', '$JS.>'];
      const subscriptions = [...subjects, ...wildcards].flatMap((subject) =>
        [undefined, 'group'].map((queue) =>
          by.subscribe(subject, {
            ...(queue && { queue }),
            callback: (error, message) => {
              if (!error) heard.push(message.subject);
            },
          }),
        ),
      );
      await by.flush();
      for (const subject of subjects) internal.publish(subject, '{}');
      await internal.flush();
      await by.flush();
      for (const each of subscriptions) if (!each.isClosed()) each.unsubscribe();
      return [...new Set(heard)].filter((subject) => subjects.includes(subject)).sort();
    };

    it('a process of the cluster may publish and receive everything', async () => {
      expect(await published(internal)).toEqual(subjects);
      expect(await received(internal)).toEqual(subjects);
    });

    it('a member sends heartbeats, asks the registry, and receives its replies', async () => {
      const member = await open(nats.member);
      expect(await published(member)).toEqual(MEMBER_PUBLISHES.map(below).sort());
      expect(await received(member)).toEqual(['_INBOX.x']);
      const list = below('registry.list');
      const responder = internal.subscribe(list, {
        callback: (_error, message) => void message.respond('{}'),
      });
      await internal.flush();
      expect((await member.request(list, '{}')).string()).toBe('{}');
      responder.unsubscribe();
      await internal.flush();
    });

    it('a member cannot make a process publish in its stead, by the subject that it wants the reply on', async () => {
      const at = { servers: [`127.0.0.1:${nats.port}`], user: nats.user, password: nats.password };
      const bus = Bus.connect({ ...at, name: 'registry', clusterKey: 'key', subjectPrefix: prefix, logger });
      await until('connected', () => bus.connected, 5_000);
      const answered: unknown[] = [];
      bus.handle('registry.list', (request) => {
        answered.push(request);
        return { nodes: [] };
      });
      await bus.subscribed();
      const streams = await jetstreamManager(internal);
      await streams.streams.add({ name: 'KEPT', subjects: ['kept.>'] });
      await jetstream(internal).publish('kept.fact', 'kept');

      const member = await open(nats.member);
      const heard: string[] = [];
      internal.subscribe('>', { callback: (_error, { subject }) => void heard.push(subject) });
      await internal.flush();
      const orders = ['$JS.API.STREAM.PURGE.KEPT', below('leader.lost'), 'kept.forged', '_HOLDFAST_INBOX.x'];
      for (const reply of orders) member.publish(below('registry.list'), '{}', { reply });
      // Messages of one connection arrive in order: the answer to this one says that the others were judged.
      expect((await member.request(below('registry.list'), '{}')).json()).toEqual({ nodes: [] });
      await internal.flush();

      expect((await streams.streams.info('KEPT')).state).toMatchObject({
        messages: 1,
        first_seq: 1,
        last_seq: 1,
      });
      expect(answered).toHaveLength(1);
      expect(heard.filter((subject) => orders.includes(subject))).toEqual([]);
      await bus.close();
    });

    it('a listener receives facts and alerts, and publishes nothing', async () => {
      const listener = await open(nats.listener);
      expect(await published(listener)).toEqual([]);
      expect(await received(listener)).toEqual(LISTENER_RECEIVES.map(below).sort());
    });

    it('their passwords stand in files that their owner alone can read', async () => {
      const home = join(dir, `of-${prefix}`);
      for (const { user, password } of [nats.member, nats.listener]) {
        const file = join(home, 'secrets', `nats-${user}`);
        expect((await readFile(file, 'utf8')).trim()).toBe(password);
        expect((await stat(file)).mode & 0o777).toBe(0o600);
      }
      expect((await stat(join(home, 'nats', 'nats.conf'))).mode & 0o777).toBe(0o600);
    });
  },
);
