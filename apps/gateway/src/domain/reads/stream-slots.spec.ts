import { describe, expect, it } from 'vitest';
import { StreamSlots } from './stream-slots.js';

function turns(atOnce: number) {
  const began: string[] = [];
  return { began, turns: new StreamSlots<string>(atOnce, (holder) => began.push(holder)) };
}

describe('large answers take turns', () => {
  it('lets as many go as may, and the next in order when one leaves', () => {
    const { turns: all, began } = turns(2);
    expect(['a', 'b', 'c', 'd'].map((it) => all.ask(it))).toEqual([true, true, false, false]);
    all.leave('b');
    all.leave('a');
    expect(began).toEqual(['c', 'd']);
    all.leave('c');
    expect(all.ask('e')).toBe(true);
  });

  it('puts one that left and asks again behind those that wait', () => {
    const { turns: all, began } = turns(1);
    all.ask('a');
    all.ask('b');
    all.leave('a');
    expect(all.ask('a')).toBe(false);
    all.leave('b');
    expect(began).toEqual(['b', 'a']);
  });

  it('forgets one that leaves while it waits, and asking twice takes one place', () => {
    const { turns: all, began } = turns(1);
    all.ask('a');
    expect(all.ask('a')).toBe(true);
    all.ask('b');
    all.ask('b');
    all.ask('c');
    all.leave('b');
    all.leave('a');
    all.leave('a');
    expect(began).toEqual(['c']);
  });
});
