import { describe, expect, it } from 'vitest';
import { COUNTER_MAX } from '#libs/contracts';
import { systemClock } from '#libs/kernel';
import { PeerTable } from '../peers/peer-table.js';
import { ReplicaHost } from './replica-host.js';

describe('finding 2: a node believes a term within 1,000 of the head', () => {
  it('takes a plausible term and leaves an absurd one to the head', () => {
    const host = new ReplicaHost('node-1', systemClock);
    host.noteHeadTerm(7);
    expect(host.noteTerm(9)).toBe(true);
    expect(host.noteTerm(1_008)).toBe(false);
    expect(host.noteTerm(COUNTER_MAX)).toBe(false);
    expect(host.term).toBe(9);
  });

  it('takes any term from the head, and goes back with it beyond the bound', () => {
    const host = new ReplicaHost('node-1', systemClock);
    host.noteHeadTerm(5_000);
    expect(host.term).toBe(5_000);
    host.noteHeadTerm(4_900);
    expect(host.term).toBe(5_000);
    host.noteHeadTerm(10);
    expect(host.term).toBe(1_010);
  });
});

describe('finding 2: an absurd version does not switch off the protection of a lost tail', () => {
  const peers = () => new PeerTable('node-1', [], 100, systemClock);

  it('leaves it out, and counts what another node holds', () => {
    const heard = peers();
    heard.noteHead(50);
    heard.update('node-2', { version: 57 });
    heard.update('node-3', { version: COUNTER_MAX });
    expect(heard.highestVersionUpTo(150)).toBe(57);
  });

  it('remembers a version whose holder has gone back, not an absurd one', () => {
    const heard = peers();
    heard.noteHead(50);
    heard.update('node-2', { version: 57 });
    heard.update('node-2', { version: COUNTER_MAX });
    heard.update('node-2', { version: 50 });
    expect(heard.highestVersionUpTo(150)).toBe(57);
  });
});
