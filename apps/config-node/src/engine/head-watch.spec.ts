import { pino } from 'pino';
import { expect, it } from 'vitest';
import { deferred, systemClock } from '#libs/kernel';
import type { ConfigStore } from '../store/config.store.js';
import { HeadWatch } from './head-watch.js';
import { ReplicaHost } from './replica-host.js';

const HOUR_MS = 3_600_000;

it('finding 10: head is read while a client waits for a version, without waiting for its turn', async () => {
  const host = new ReplicaHost('n1', systemClock);
  const head = { clusterId: 'c', version: 7, chain: '', term: 1, leaderId: 'n2', incarnation: 1, attempt: 0 };
  const store = { readHead: async () => head } as Pick<ConfigStore, 'readHead'> as ConfigStore;
  const read = [deferred<void>(), deferred<void>(), deferred<void>()];
  let reads = 0;
  const watch = new HeadWatch(
    { everyMs: HOUR_MS, withoutBusMs: HOUR_MS },
    host,
    store,
    () => true,
    async () => read[reads++]?.resolve(),
    systemClock,
    pino({ level: 'silent' }),
  );
  watch.start();
  await read[0]?.promise; // the first, which is due
  await host.whileAwaited(async () => {
    await read[1]?.promise;
    await read[2]?.promise;
  });
  expect(host.isAwaited).toBe(false);
  await watch.stop();
});
