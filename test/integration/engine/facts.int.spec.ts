import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FactStream, type StoredFact } from '#libs/messaging';
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
    const facts: StoredFact[] = [];
    const abort = new AbortController();
    const stream = new FactStream(second.bus, pino({ level: 'silent' }));
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
    abort.abort();
    await following;
  });
});
