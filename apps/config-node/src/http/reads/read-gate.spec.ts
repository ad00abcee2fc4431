import { expect, it } from 'vitest';
import { systemClock } from '#libs/kernel';
import { chainAfter, GENESIS_CHAIN } from '#libs/replica';
import type { HeadRow } from '../../domain/log.types.js';
import { StorageReads } from '../../history/storage-reads.js';
import { ReplicaHost } from '../../replica/replica-host.js';
import { ReadGate } from './read-gate.js';

/** A node at version 3, and its history. */
function nodeAtThree() {
  const host = new ReplicaHost('n1', systemClock);
  const chains = [GENESIS_CHAIN];
  for (let version = 1; version <= 3; version++) {
    const content = {
      version,
      term: 1,
      kind: 'change' as const,
      author: null,
      comment: null,
      operations: [],
    };
    const chain = chainAfter(chains.at(-1) ?? '', content);
    host.apply([{ ...content, chain, createdAt: '2026-01-01T00:00:00.000Z' }]);
    chains.push(chain);
  }
  return { host, chains };
}

function databaseAt(version: number, chain = '') {
  const head: HeadRow = {
    clusterId: 'c',
    version,
    chain,
    term: 1,
    leaderId: 'n1',
    incarnation: 1,
    attempt: 0,
  };
  return { barrier: async () => head, readHead: async () => head };
}

it('shows nobody what the database has lost: head below what the node held is another history', async () => {
  const { host, chains } = nodeAtThree();
  const gate = new ReadGate(host, databaseAt(2, chains[2]), new StorageReads());
  const read = gate.pass({ consistency: 'linearizable', timeout: 10 }, {});
  await expect(read).rejects.toMatchObject({ code: 'version-not-reached' });
});

it('lets a linearizable read pass at head', async () => {
  const { host, chains } = nodeAtThree();
  const gate = new ReadGate(host, databaseAt(3, chains[3]), new StorageReads());
  await gate.pass({ consistency: 'linearizable', timeout: 10 }, {});
});
