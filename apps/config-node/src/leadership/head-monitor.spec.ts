import { pino } from 'pino';
import { expect, it } from 'vitest';
import { deferred, systemClock } from '#libs/kernel';
import { ReplicaHost } from '../replica/replica-host.js';
import type { ConfigStore } from '../store/config.store.js';
import { HeadMonitor } from './head-monitor.js';

const HOUR_MS = 3_600_000;

it('finding 10: head is read while a client waits for a version, without waiting for its turn', async () => {
  const host = new ReplicaHost('n1', systemClock);
  const head = { clusterId: 'c', version: 7, chain: '', term: 1, leaderId: 'n2', incarnation: 1, attempt: 0 };
  const store = { readHead: async () => head } as Pick<ConfigStore, 'readHead'> as ConfigStore;
  const read = [deferred<void>(), deferred<void>(), deferred<void>()];
  let reads = 0;
  const watch = new HeadMonitor({
    options: { everyMs: HOUR_MS, withoutBusMs: HOUR_MS, confirmedMs: HOUR_MS },
    host,
    store,
    busConnected: () => true,
    listener: async () => read[reads++]?.resolve(),
    clock: systemClock,
    logger: pino({ level: 'silent' }),
  });
  watch.start();
  await read[0]?.promise; // the first, which is due
  await host.whileAwaited(async () => {
    await read[1]?.promise;
    await read[2]?.promise;
  });
  expect(host.isAwaited).toBe(false);
  await watch.stop();
});

it('finding 18d: an observer leaves the database alone while the leader vouches for the head', async () => {
  let nowMs = 100_000;
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  const host = new ReplicaHost('n4', clock);
  const head = {
    clusterId: 'c',
    version: 0,
    chain: host.replica.chain,
    term: 1,
    leaderId: 'n2',
    incarnation: 1,
    attempt: 0,
  };
  let reads = 0;
  const readHead = async () => {
    reads += 1;
    return head;
  };
  const watch = new HeadMonitor({
    options: { everyMs: 20, withoutBusMs: 20, confirmedMs: HOUR_MS },
    host,
    store: { readHead } as Pick<ConfigStore, 'readHead'> as ConfigStore,
    busConnected: () => true,
    listener: async () => undefined,
    clock,
    logger: pino({ level: 'silent' }),
  });
  const after = async (ms: number, vouched: boolean) => {
    nowMs += ms;
    if (vouched) host.learnHead(host.replica, nowMs);
    // A tick comes every 10 ms.
    await new Promise((resolve) => setTimeout(resolve, 50));
    return reads;
  };
  watch.start();
  expect(await after(0, true)).toBe(1); // the first, which is due
  for (let i = 0; i < 5; i++) expect(await after(1_000, true)).toBe(1);
  expect(await after(1_000, false)).toBe(2);
  expect(await after(1_000, false)).toBe(3);
  await watch.stop();
});
