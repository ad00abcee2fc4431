import { describe, expect, it } from 'vitest';
import { type ConsistencyRepaired, EVENT_FAMILIES, EVENTS } from '#libs/contracts';
import type { NodeOutcome } from './comparison/round.js';
import { type ConsistencyEvent, entriesEvents, eventsFor, repairEvent } from './consistency-events.js';

const AT = '2026-01-01T00:00:00.000Z';
const teller = { observer: 'c-1', at: AT, wallMs: 1_767_225_600_000 };
const pin = { version: 7, chain: 'c'.repeat(64) };
const difference = {
  ...{ namespace: 'shop', key: 'banner', class: 'extra' as const, expected: null },
  found: { version: 3, contentType: 'text/plain', checksum: `sha256:${'b'.repeat(64)}` },
};
const outcome: NodeOutcome = {
  ...{ nodeId: 'node-2', result: 'mismatch', reason: 'root', more: 1, keys: { listed: 1, buckets: 1 } },
  differences: Array.from({ length: 150 }, () => difference),
};
const repaired: ConsistencyRepaired = {
  ...{ place: 'node-2', difference, outcome: 'repaired', why: 'check', version: 7, observer: 'c-1', at: AT },
};

/** What the outbox would not publish is no news. */
function expectPublishable(told: readonly ConsistencyEvent[]): void {
  for (const { subject, payload } of told) {
    const isAlert = subject.startsWith('alert.raised.');
    const schema = isAlert
      ? EVENT_FAMILIES['alert.raised'].schema
      : EVENTS[subject as 'consistency.checked' | 'consistency.repaired'].schema;
    expect(schema.safeParse(payload).error).toBeUndefined();
  }
  expect(new Set(told.map(({ id }) => id)).size).toBe(told.length);
}
const subjects = (told: readonly ConsistencyEvent[]) => told.map(({ subject }) => subject);
const summaries = (told: readonly ConsistencyEvent[]) =>
  told.flatMap(({ payload }) => (payload as { summary?: string }).summary ?? []);

describe('news', () => {
  it('of a mismatch is a fact with what was found, bounded, and an alert that names some of it', () => {
    const told = eventsFor({ type: 'changed', outcome, from: 'match' }, pin, teller);
    expectPublishable(told);
    expect(subjects(told)).toEqual(['consistency.checked', 'alert.raised.critical']);
    expect(summaries(told)).toEqual([
      'its state at version 7 is not that of the change log: shop/banner extra, shop/banner extra, shop/banner extra and 148 more',
    ]);
  });

  it('of a match is a fact alone, of a node that stays unknown an alert alone', () => {
    const right: NodeOutcome = { ...outcome, result: 'match', reason: null, differences: [], more: 0 };
    const told = eventsFor({ type: 'changed', outcome: right, from: null }, pin, teller);
    expectPublishable(told);
    expect(subjects(told)).toEqual(['consistency.checked']);
    const overdue = { type: 'stays-unknown', nodeId: 'n', reason: 'unreachable', forMs: 300_500 } as const;
    const alerts = eventsFor(overdue, pin, teller);
    expectPublishable(alerts);
    expect(summaries(alerts)).toEqual(['its state could not be compared for 301 s: unreachable']);
  });

  it('of repairs is a fact for each, and an alert when it was, or should be, the whole state', () => {
    for (const [plan, alerts] of [['keys', 0] as const, ['resync', 1] as const]) {
      const told = repairEvent('node-2', plan, [repaired, repaired], teller);
      expectPublishable(told);
      expect(told).toHaveLength(2 + alerts);
    }
    const resting = repairEvent('node-2', 'resting', [], teller);
    expectPublishable(resting);
    expect(subjects(resting)).toEqual(['alert.raised.critical']);
  });

  it('of what the leader found in the database has the same id whoever tells it', () => {
    const told = entriesEvents({ ...repaired, place: 'config.entries' }, 12, teller);
    expectPublishable(told);
    expect(told[0]?.id).toBe('consistency.repaired/config.entries/12');
    expect(summaries(told)).toEqual(['shop/banner was not what the log says: extra, repaired']);
  });
});
