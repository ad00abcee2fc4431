import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readWriteAnswer, type WriteAnswer } from './write-answer.js';
import { WriteParking } from './write-parking.js';
import { PARKING_LIMITS, type ParkingAction } from './write-parking.types.js';

const T1 = { term: 1, address: 'http://n1' };
const T2 = { term: 2, address: 'http://n2' };
const T3 = { term: 3, address: 'http://n3' };

/** Drives the core by hand: `at` moves the clock, every call returns what is to be done. */
class Driver {
  now = 0;
  readonly core: WriteParking;
  constructor(limits: Partial<typeof PARKING_LIMITS> = {}) {
    this.core = new WriteParking({ ...PARKING_LIMITS, ...limits });
  }
  at(ms: number): this {
    this.now = ms;
    return this;
  }
  arrive(id: number, ownKey = true, sizeBytes = 10) {
    return this.core.handle({ type: 'arrived', id, sizeBytes, ownKey, nowMs: this.now });
  }
  answer(id: number, answer: WriteAnswer) {
    return this.core.handle({ type: 'answered', id, answer, nowMs: this.now });
  }
  broke(id: number, sent = true) {
    return this.core.handle({ type: 'broke', id, sent, nowMs: this.now });
  }
  target(target: typeof T1 | null) {
    return this.core.handle({ type: 'target', target, nowMs: this.now });
  }
  left(id: number) {
    return this.core.handle({ type: 'left', id, nowMs: this.now });
  }
  tick() {
    return this.core.handle({ type: 'tick', nowMs: this.now });
  }
}

const send = (id: number, target: typeof T1, fresh = true): ParkingAction => ({
  do: 'send',
  id,
  target,
  fresh,
});
const refused = (id: number, code: string) => expect.objectContaining({ do: 'refuse', id, code });

describe('a write', () => {
  it('goes to the leader, and its answer to the client', () => {
    const d = new Driver();
    d.target(T1);
    expect(d.arrive(1)).toEqual([send(1, T1)]);
    expect(d.answer(1, 'done')).toEqual([{ do: 'pass', id: 1 }]);
    expect(d.core.held).toEqual({ writes: 0, bytes: 0 });
  });

  it('waits while there is no leader, for a bounded time', () => {
    const d = new Driver();
    expect(d.arrive(1)).toEqual([]);
    expect(d.at(4_999).tick()).toEqual([]);
    expect(d.at(5_000).tick()).toEqual([refused(1, 'no-leader')]);
  });

  it('is sent as soon as a leader is known', () => {
    const d = new Driver();
    d.arrive(1);
    d.arrive(2);
    expect(d.at(80).target(T1)).toEqual([send(1, T1), send(2, T1)]);
  });

  it('is repeated under its key, no longer fresh, when the leader died with it', () => {
    const d = new Driver();
    d.target(T1);
    d.arrive(1);
    expect(d.broke(1)).toEqual([]);
    expect(d.at(120).target(T2)).toEqual([send(1, T2, false)]);
    expect(d.answer(1, 'done')).toEqual([{ do: 'pass', id: 1 }]);
  });

  it('stays fresh when not one byte of it was sent, or when it was turned away', () => {
    const d = new Driver();
    d.target(T1);
    d.arrive(1);
    d.broke(1, false);
    d.arrive(2);
    expect(d.at(5).tick()).toEqual([send(1, T1)]);
    expect(d.answer(1, 'not-leader')).toEqual([]);
    expect(d.at(9).target(T2)).toEqual([send(1, T2), send(2, T2)]);
  });

  it("is never fresh under the client's own key", () => {
    const d = new Driver();
    d.target(T1);
    expect(d.arrive(1, false)).toEqual([send(1, T1, false)]);
  });

  it.each<[WriteAnswer, 'pass' | 'refuse' | 'again']>([
    ['done', 'pass'],
    ['refused', 'pass'],
    ['unknown', 'pass'],
    ['no-storage', 'refuse'],
    ['broken', 'refuse'],
    ['garbled', 'refuse'],
    ['busy', 'again'],
    ['not-leader', 'again'],
    ['not-now', 'again'],
  ])('after an unknown attempt the answer %s means: %s', (answer, outcome) => {
    const d = new Driver();
    d.target(T1);
    d.arrive(1);
    d.broke(1);
    d.target(T2);
    const actions = d.answer(1, answer);
    if (outcome === 'pass') expect(actions).toEqual([{ do: 'pass', id: 1 }]);
    else if (outcome === 'refuse') expect(actions).toEqual([refused(1, 'outcome-unknown')]);
    else {
      expect(actions).toEqual([]);
      expect(d.at(200).tick()).toEqual([send(1, T2, false)]);
      d.answer(1, 'not-now');
      expect(d.at(5_000).tick()).toEqual([refused(1, 'outcome-unknown')]);
    }
  });

  it('without the database is refused at once, as long as nothing is unknown', () => {
    const d = new Driver();
    d.target(T1);
    d.arrive(1);
    expect(d.answer(1, 'no-storage')).toEqual([{ do: 'pass', id: 1 }]);
  });

  it('goes to no third leader when two died with it', () => {
    const d = new Driver();
    d.target(T1);
    d.arrive(1);
    d.broke(1);
    d.target(T2);
    d.broke(1);
    expect(d.target(T3)).toEqual([refused(1, 'outcome-unknown')]);
  });

  it('leaves a frozen leader when there is a new one, after a moment for a late answer', () => {
    const d = new Driver();
    d.target(T1);
    d.arrive(1);
    d.arrive(2);
    expect(d.at(1_500).target(T2)).toEqual([]);
    expect(d.at(1_550).answer(1, 'done')).toEqual([{ do: 'pass', id: 1 }]);
    expect(d.at(1_600).tick()).toEqual([{ do: 'abort', id: 2 }, send(2, T2, false)]);
  });

  it('is given up when nobody answers', () => {
    const d = new Driver();
    d.target(T1);
    d.arrive(1);
    expect(d.at(8_000).tick()).toEqual([{ do: 'abort', id: 1 }, refused(1, 'outcome-unknown')]);
  });

  it('is dropped when its client left', () => {
    const d = new Driver();
    d.arrive(1);
    expect(d.left(1)).toEqual([]);
    d.target(T1);
    d.arrive(2);
    expect(d.left(2)).toEqual([{ do: 'abort', id: 2 }]);
    expect(d.core.held).toEqual({ writes: 0, bytes: 0 });
    expect(d.core.parked).toEqual({ writes: 0, bytes: 0 });
  });

  it('finds its bounds', () => {
    const d = new Driver({ parkedWrites: 2, heldWrites: 3, parkedBytes: 100 });
    d.arrive(1);
    d.arrive(2);
    expect(d.arrive(3)).toEqual([refused(3, 'no-leader')]);
    d.target(T1);
    d.arrive(4);
    expect(d.arrive(5)).toEqual([refused(5, 'cluster-busy')]);
    d.broke(1);
    d.broke(2);
    expect(d.broke(4)).toEqual([refused(4, 'outcome-unknown')]);
    const small = new Driver({ parkedBytes: 100 });
    expect(small.arrive(1, true, 101)).toEqual([refused(1, 'no-leader')]);
  });
});

describe('a leader that is not ready', () => {
  it('is tried by one write, and gets the others when it has taken that', () => {
    const d = new Driver();
    d.target(T2);
    for (const id of [1, 2, 3]) d.arrive(id);
    for (const id of [1, 2, 3]) expect(d.answer(id, 'not-leader')).toEqual([]);
    expect(d.at(4).tick()).toEqual([]);
    expect(d.at(5).tick()).toEqual([send(1, T2)]);
    expect(d.at(6).answer(1, 'not-leader')).toEqual([]);
    expect(d.at(15).tick()).toEqual([]);
    expect(d.at(16).tick()).toEqual([send(1, T2)]);
    expect(d.at(20).answer(1, 'done')).toEqual([{ do: 'pass', id: 1 }, send(2, T2), send(3, T2)]);
  });

  it('gets the others when it keeps the probe', () => {
    const d = new Driver();
    d.target(T2);
    d.arrive(1);
    d.answer(1, 'not-now');
    d.arrive(2);
    expect(d.at(5).tick()).toEqual([send(1, T2)]);
    expect(d.at(24).tick()).toEqual([]);
    expect(d.at(25).tick()).toEqual([send(2, T2)]);
  });

  it('is tried at once when it is heard leading', () => {
    const d = new Driver();
    d.target(T2);
    d.arrive(1);
    d.answer(1, 'not-leader');
    expect(d.at(2).target(T2)).toEqual([send(1, T2)]);
  });

  it('that cannot be reached is asked once through another node', () => {
    const d = new Driver();
    d.target(T1);
    d.arrive(1);
    d.broke(1, false);
    for (let ms = 1; ms < 300; ms++) {
      for (const action of d.at(ms).tick()) if (action.do === 'send') d.broke(action.id, false);
    }
    const actions = d.at(300).tick();
    expect(actions).toContainEqual({ do: 'forward', id: 1, term: 1, fresh: true });
    d.answer(1, 'not-now');
    d.now = 301;
    for (let ms = 301; ms < 900; ms++) {
      for (const action of d.at(ms).tick()) {
        expect(action.do).toBe('send'); // the leader itself is still tried, the other nodes are not
        d.broke(1, false);
      }
    }
  });
});

describe('answers', () => {
  it.each([
    [200, undefined, 'done'],
    [201, undefined, 'done'],
    [412, 'precondition-failed', 'refused'],
    [404, 'key-not-found', 'refused'],
    [422, 'invalid-value', 'refused'],
    [421, 'not-leader', 'not-leader'],
    [503, 'no-leader', 'not-now'],
    [503, 'shutting-down', 'not-now'],
    [503, 'storage-unavailable', 'no-storage'],
    [429, 'cluster-busy', 'busy'],
    [504, 'outcome-unknown', 'unknown'],
    [500, 'internal', 'broken'],
    [502, undefined, 'garbled'],
  ] as const)('%d %s is %s', (status, code, expected) => {
    expect(readWriteAnswer(status, code)).toBe(expected);
  });
});

describe('whatever happens', () => {
  const event = fc.oneof(
    { weight: 3, arbitrary: fc.record({ e: fc.constant('arrive' as const), own: fc.boolean() }) },
    {
      weight: 4,
      arbitrary: fc.record({
        e: fc.constant('answer' as const),
        pick: fc.nat(),
        answer: fc.constantFrom<WriteAnswer>(
          'done',
          'refused',
          'not-leader',
          'not-now',
          'busy',
          'no-storage',
          'unknown',
          'broken',
          'garbled',
        ),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ e: fc.constant('broke' as const), pick: fc.nat(), sent: fc.boolean() }),
    },
    { weight: 1, arbitrary: fc.record({ e: fc.constant('left' as const), pick: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ e: fc.constant('target' as const), up: fc.nat({ max: 2 }) }) },
    { weight: 6, arbitrary: fc.record({ e: fc.constant('pass-time' as const), ms: fc.nat({ max: 700 }) }) },
  );

  it('every write ends once, unknown stays unknown, no third leader, bounds hold', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), (events) => {
        const d = new Driver({ parkedWrites: 5, heldWrites: 9 });
        const open = new Set<number>();
        const sending = new Map<number, { term: number; via: string }>();
        const unknown = new Set<number>();
        const lost = new Map<number, Set<number>>();
        let nextId = 0;
        let term = 0;
        const lose = (id: number) => {
          const attempt = sending.get(id);
          unknown.add(id);
          if (attempt?.via === 'leader') lost.set(id, (lost.get(id) ?? new Set()).add(attempt.term));
        };
        const carryOut = (actions: ParkingAction[], answered?: { id: number; answer: WriteAnswer }) => {
          for (const action of actions) {
            expect(open.has(action.id)).toBe(true);
            switch (action.do) {
              case 'send':
              case 'forward': {
                expect(sending.has(action.id)).toBe(false);
                if (action.fresh) expect(unknown.has(action.id)).toBe(false);
                const to = action.do === 'send' ? action.target.term : action.term;
                const died = lost.get(action.id) ?? new Set();
                if (died.size >= 2) expect(died.has(to)).toBe(true);
                sending.set(action.id, { term: to, via: action.do === 'send' ? 'leader' : 'node' });
                break;
              }
              case 'abort':
                lose(action.id);
                sending.delete(action.id);
                break;
              case 'pass':
                expect(answered?.id).toBe(action.id);
                if (unknown.has(action.id))
                  expect(['done', 'refused', 'unknown']).toContain(answered?.answer);
                open.delete(action.id);
                break;
              case 'refuse':
                if (unknown.has(action.id)) expect(action.code).toBe('outcome-unknown');
                open.delete(action.id);
                break;
            }
          }
          expect(d.core.parked.writes).toBeLessThanOrEqual(5);
          expect(d.core.held.writes).toBe(open.size);
          expect(d.core.parked.writes).toBe(open.size - sending.size);
        };
        const pick = (n: number) => [...sending.keys()][n % Math.max(1, sending.size)];
        for (const one of events) {
          if (one.e === 'arrive') {
            open.add(nextId);
            carryOut(d.arrive(nextId++, one.own));
          } else if (one.e === 'target') {
            term += one.up;
            carryOut(d.target(term === 0 ? null : { term, address: `http://n${term}` }));
          } else if (one.e === 'pass-time') {
            carryOut(d.at(d.now + one.ms).tick());
          } else {
            const id = one.e === 'left' ? [...open][one.pick % Math.max(1, open.size)] : pick(one.pick);
            if (id === undefined) continue;
            if (one.e === 'left') {
              const actions = d.left(id);
              expect(actions.filter((a) => a.id === id && a.do === 'abort')).toHaveLength(
                sending.has(id) ? 1 : 0,
              );
              sending.delete(id);
              open.delete(id);
              carryOut(actions.filter((a) => a.id !== id));
            } else if (one.e === 'broke') {
              if (one.sent) lose(id);
              sending.delete(id);
              carryOut(d.broke(id, one.sent));
            } else {
              sending.delete(id);
              carryOut(d.answer(id, one.answer), { id, answer: one.answer });
            }
          }
        }
        carryOut(d.at(d.now + 5_000).tick());
        carryOut(d.at(d.now + 8_000).tick());
        carryOut(d.at(d.now + 8_000).tick());
        expect([...open]).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });
});
