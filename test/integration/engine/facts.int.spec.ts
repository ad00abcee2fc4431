import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DurableEvents, type StoredEvent } from '#libs/messaging';
import { type EngineLab, openEngineLab, put, until, write } from './engine-lab.js';

let lab: EngineLab;

beforeAll(async () => {
  lab = await openEngineLab();
});
afterAll(() => lab.close());

describe('config.changed', () => {
  it('is kept in the stream, without gaps over a change of leader, under one id per version', async () => {
    const first = await lab.node('node-1');
    const second = await lab.node('node-2');
    await lab.elect(first);
    const facts: StoredEvent[] = [];
    const abort = new AbortController();
    const stream = new DurableEvents(second.bus, pino({ level: 'silent' }));
    await until(() => second.bus.connected, 'connected');
    const following = (async () => {
      for await (const fact of stream.follow(0, abort.signal)) {
        if (fact.subject.startsWith('config.changed.')) facts.push(fact);
      }
    })();
    for (let i = 0; i < 20; i++) {
      await first.engine.publisher.submit(write([put(`k${i}`, 'v'), put('k', 'v', 'web.eu')]));
    }
    await lab.elect(second);
    await second.engine.publisher.submit(write([put('last', 'v')]));
    const versions = () => new Set(facts.map(({ payload }) => (payload as { version: number }).version));
    await until(() => versions().size === 21, 'every version is told');
    expect(new Set(facts.map(({ subject }) => subject))).toEqual(
      new Set(['config.changed.app', 'config.changed.web=eu']),
    );
    const byId = new Map(facts.map((fact) => [fact.id, JSON.stringify(fact.payload)]));
    for (const fact of facts) expect(byId.get(fact.id)).toBe(JSON.stringify(fact.payload));
    expect(byId.size).toBe(41);
    // What no message can hold is cut, and what follows is told.
    const keys = Array.from({ length: 1_000 }, (_, i) => put(`${'"\\'.repeat(250)}${i}`, 'v', 'large'));
    await second.engine.publisher.submit(write(keys, { comment: '\u0001'.repeat(1_000) }));
    await second.engine.publisher.submit(write([put('next', 'v')]));
    await until(() => versions().size === 23, 'finding 9: the large one and the next one are told');
    const large = facts.find(({ subject }) => subject === 'config.changed.large');
    expect(large?.payload).toMatchObject({ keyCount: 1_000, truncated: true });
    abort.abort();
    await following;
  });

  it('finding 9: a fact that no message holds is left out for good, one that cannot be sent now is not', async () => {
    const node = await lab.node('node-3');
    const logged: string[] = [];
    const logger = pino({ level: 'error' }, { write: (line: string) => void logged.push(line) });
    const stream = new DurableEvents(node.bus, logger);
    await until(() => node.bus.connected, 'connected');
    expect(await stream.ensure()).toBe(true);
    const alert = (summary: string) =>
      stream.announceFamily(
        'alert.raised',
        'critical',
        { ...{ name: 'test', severity: 'critical', summary }, labels: {}, at: new Date().toISOString() },
        summary.slice(0, 20),
      );
    expect(await alert('x'.repeat(1024 * 1024))).toBe('too-large');
    expect(logged).toHaveLength(1);
    expect(await alert('small')).toBe('stored');
    await node.stop();
    expect(['unsent', 'unconfirmed']).toContain(await alert('later'));
  });
});
