import { connect, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { EVENT_FAMILIES, EVENTS, REQUESTS } from '#libs/contracts';
import { Envelope } from '#libs/messaging';
import { ApiClient, Cluster, problemCode } from '#libs/testing';
import { sampleOf } from '../fixtures/contract-samples.js';

type Kind = 'fact' | 'request';
const SUBJECTS: { kind: Kind; subject: string; schema: z.ZodType }[] = [
  ...Object.entries(EVENTS).map(([subject, { schema }]) => ({ kind: 'fact' as const, subject, schema })),
  ...Object.entries(EVENT_FAMILIES).map(([family, { schema }]) => ({
    ...{ kind: 'fact' as const, schema },
    subject: `${family}.${family === 'config.changed' ? 'app' : 'critical'}`,
  })),
  ...Object.entries(REQUESTS).map(([subject, { request }]) => ({
    ...{ kind: 'request' as const, schema: request },
    subject: subject === 'election.poll' ? 'election.poll.node-1' : subject,
  })),
];
const strangers = new Envelope('the key of another cluster', '');
const OTHER_BODY = Buffer.from('{}');

/** Somebody with the password of NATS and without the key of the cluster says everything that can be said. */
describe('finding 2: forged messages, heard by every service of a whole cluster', () => {
  let cluster: Cluster;
  let api: ApiClient;
  let bus: NatsConnection;

  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.whole();
    api = new ApiClient(cluster.gateway, 4);
    const { HOLDFAST_NATS_SERVERS, HOLDFAST_NATS_USER, HOLDFAST_NATS_PASSWORD } =
      cluster.environment('node-1');
    bus = await connect({
      servers: String(HOLDFAST_NATS_SERVERS),
      ...{ user: String(HOLDFAST_NATS_USER), pass: String(HOLDFAST_NATS_PASSWORD) },
    });
  });
  afterAll(async () => {
    await bus?.close();
    await api?.close();
    await cluster?.dispose();
  });

  /** What services answer, without what moves by itself. */
  const seen = async () => {
    const { clusterId, term, leaderId, version, nodes } = await cluster.view();
    const { elections } = await api.json<{ elections: object[] }>('/v1/cluster/elections');
    const pages = await Promise.all(
      nodes.map(({ id }) => api.json<{ hold: unknown; recoveries: unknown }>(`/v1/nodes/${id}`)),
    );
    return {
      ...{ clusterId, term, leaderId, version, elections: elections.length },
      nodes: nodes.map(({ id, role, status, reason, address, incarnation }, i) => ({
        ...{ id, role, status, reason, address, incarnation },
        ...{ hold: pages[i]?.hold, recoveries: pages[i]?.recoveries },
      })),
      read: (await api.get('app', 'k')).body.toString(),
    };
  };

  it('change nothing anywhere', async () => {
    const first = JSON.parse((await api.put('app', 'k', 'true')).body.toString()) as { version: number };
    // Each of the two gateways has a view of its own.
    await expect.poll(seen).toMatchObject({ version: first.version });
    const before = { ...(await seen()), version: first.version };
    const leader = before.nodes.find(({ id }) => id === before.leaderId);
    const samples = {
      texts: [before.leaderId ?? '', before.clusterId],
      number: Math.max(leader?.incarnation ?? 0, 0) + 1,
      whole: true,
    };
    const forgeries: ((kind: Kind, subject: string, body: Buffer) => MsgHdrs | undefined)[] = [
      () => undefined,
      (kind, subject, body) => strangers.seal({ kind, subject }, body),
      (kind, subject) => strangers.seal({ kind, subject }, OTHER_BODY),
    ];
    const replies: string[] = [];
    bus.subscribe('_INBOX.forger', {
      callback: (_error, message) =>
        void replies.push(message.headers?.get('holdfast-error-code') || 'answered'),
    });
    let sent = 0;
    for (const number of [samples.number, before.term + 5, before.version + 1]) {
      for (const { kind, subject, schema } of SUBJECTS) {
        const body = Buffer.from(JSON.stringify(sampleOf(schema, { ...samples, number })));
        for (const forge of forgeries) {
          const headers = forge(kind, subject, body);
          const reply = kind === 'request' && !subject.startsWith('registry.') ? '_INBOX.forger' : undefined;
          bus.publish(subject, body, { ...(headers && { headers }), ...(reply && { reply }) });
          sent += 1;
        }
      }
    }
    await bus.flush();
    expect(sent).toBe(3 * 3 * SUBJECTS.length);

    // What the services say and do afterwards shows that none of it was taken in.
    const handedOver = await cluster.handOver();
    expect(handedOver.term).toBe(before.term + 1);
    const written = await api.put('app', 'k2', 'v');
    expect([written.status, problemCode(written)]).toEqual([201, 'status-201']);
    expect(replies).toEqual([]);
    const expected = before.nodes.map((node) => ({ ...node, role: roleOf(node, handedOver.leaderId) }));
    await expect.poll(seen).toEqual({
      ...before,
      ...{ term: before.term + 1, leaderId: handedOver.leaderId, version: before.version + 1 },
      ...{ elections: before.elections + 1, nodes: expected },
    });
  });

  const roleOf = ({ id, role }: { id: string; role: string }, leaderId: string) =>
    role === 'observer' ? role : id === leaderId ? 'leader' : 'follower';
});
