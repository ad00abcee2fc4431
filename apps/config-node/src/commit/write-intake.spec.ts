import { describe, expect, it } from 'vitest';
import { Problem } from '#libs/contracts';
import { systemClock } from '#libs/kernel';
import { createLogger } from '#libs/observability';
import type { WriteOutcome, WriteRequest } from '../domain/commit/write.js';
import { type IncomingWrite, WriteIntake, type WriteSender } from './write-intake.js';

const LEADER = { address: 'http://leader', term: 7 };
const OUTCOME: WriteOutcome = { version: 1, term: 7, createdAt: 'now', operations: [], created: [] };
const WRITE: IncomingWrite = {
  kind: 'put',
  comment: null,
  author: null,
  operations: [],
  hash: Buffer.from('hash'),
};

function intake(options: { leads: boolean; leader?: typeof LEADER | null; fails?: Error }) {
  const submitted: WriteRequest[] = [];
  const publisher = {
    isLeading: options.leads,
    submit: async (request: WriteRequest) => {
      submitted.push(request);
      if (options.fails) throw options.fails;
      return OUTCOME;
    },
  };
  const logger = createLogger({ service: 'test', node: 'test', level: 'silent' });
  const leader = () => options.leader ?? null;
  return { submitted, intake: new WriteIntake({ publisher, leader, clock: systemClock, logger }) };
}

function sender(given: Partial<WriteSender> = {}): WriteSender {
  return {
    requestId: 'request',
    isMember: () => true,
    forward: false,
    forwarded: false,
    idempotencyKey: () => null,
    signal: () => new AbortController().signal,
    ...given,
  };
}

describe('a write that comes to a node', () => {
  it.each([
    { it: 'is done by the leader', leads: true, from: {}, to: undefined },
    {
      it: 'is sent on by a follower for a gateway',
      leads: false,
      from: { forward: true },
      to: LEADER.address,
    },
    { it: 'is refused by a follower otherwise', leads: false, from: {}, to: 'not-leader' },
    { it: 'is sent on once', leads: false, from: { forward: true, forwarded: true }, to: 'not-leader' },
    {
      it: 'is sent on for members alone',
      leads: false,
      from: { forward: true, isMember: () => false },
      to: 'not-leader',
    },
  ])('$it', ({ leads, from, to }) => {
    const { intake: it } = intake({ leads, leader: LEADER });
    if (to === 'not-leader') {
      expect(() => it.leaderElsewhere(sender(from))).toThrow(
        expect.objectContaining({ code: to, members: { leader: LEADER.address, leaderTerm: 7 } }),
      );
    } else expect(it.leaderElsewhere(sender(from))).toBe(to);
  });

  it('is refused where no leader is known', () => {
    const { intake: it } = intake({ leads: false });
    expect(() => it.leaderElsewhere(sender({ forward: true }))).toThrow(
      expect.objectContaining({ members: { leader: null, leaderTerm: null } }),
    );
  });

  it.each([
    { member: true, expected: { keyIsFresh: true, aimTerm: 7 } },
    { member: false, expected: { keyIsFresh: false, aimTerm: null } },
  ])(
    'is believed what it says of its attempt if a member sends it: $member',
    async ({ member, expected }) => {
      const { intake: it, submitted } = intake({ leads: true });
      const attempt = () => ({ keyIsFresh: true, aimTerm: 7 });
      await it.publish(sender({ isMember: () => member, attempt }), async () => WRITE);
      expect(submitted).toMatchObject([expected]);
    },
  );

  it.each([
    { it: 'without a key at once', key: null, fresh: false, submitted: 0 },
    { it: 'with a fresh key at once', key: 'key', fresh: true, submitted: 0 },
    {
      it: 'with a key that may stand for a write only by the publisher',
      key: 'key',
      fresh: false,
      submitted: 1,
    },
  ])('that cannot be done is refused $it', async ({ key, fresh, submitted: count }) => {
    const { intake: it, submitted } = intake({ leads: true });
    const refusal = new Problem('value-too-large', 'no JSON');
    const from = sender({
      idempotencyKey: () => key,
      attempt: () => ({ keyIsFresh: fresh, aimTerm: null }),
    });
    const published = it.publish(from, async () => ({ ...WRITE, refusal }));
    if (count === 0) await expect(published).rejects.toBe(refusal);
    else await published;
    expect(submitted.length).toBe(count);
  });

  it('is of unknown outcome when the publisher fails in an unexpected way', async () => {
    const fails = Object.assign(new Error('gone'), { code: 'ECONNRESET' });
    const { intake: it } = intake({ leads: true, fails });
    await expect(it.publish(sender(), async () => WRITE)).rejects.toMatchObject({ code: 'outcome-unknown' });
  });
});
