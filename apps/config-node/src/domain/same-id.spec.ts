import { describe, expect, it } from 'vitest';
import { ESTABLISHED_MS, GONE_MS, SameId } from './same-id.ts';

const OWN = 100;
const older = { incarnation: 50, address: 'http://other:1', stopping: false };
const younger = { ...older, incarnation: 150 };

describe('report 6: a process that hears another with its node id', () => {
  it('does nothing while it hears none', () => {
    expect(new SameId(0).decide(OWN, 1_000)).toEqual({ do: 'none' });
  });

  it('is young: asks whether the older one answers, until it is established itself', () => {
    const watch = new SameId(0);
    watch.observe(older, 500);
    expect(watch.decide(OWN, 1_000)).toEqual({ do: 'ask', other: expect.objectContaining(older) });
    watch.observe(older, ESTABLISHED_MS);
    expect(watch.decide(OWN, ESTABLISHED_MS).do).toBe('none');
  });

  it('is young: does not ask one that stops, or was not heard for a while', () => {
    const watch = new SameId(0);
    watch.observe({ ...older, stopping: true }, 500);
    expect(watch.decide(OWN, 600).do).toBe('none');
    watch.observe(older, 700);
    expect(watch.decide(OWN, 700 + GONE_MS).do).toBe('none');
  });

  it('is old: ends once the younger one has lived for a while', () => {
    const watch = new SameId(0);
    for (let nowMs = 0; nowMs < ESTABLISHED_MS; nowMs += 1_000) {
      watch.observe(younger, nowMs);
      expect(watch.decide(OWN, nowMs).do).toBe('none');
    }
    watch.observe(younger, ESTABLISHED_MS);
    expect(watch.decide(OWN, ESTABLISHED_MS)).toEqual({ do: 'end', other: expect.objectContaining(younger) });
  });

  it('is old: takes its place again when the younger one stops or falls silent, once', () => {
    const stopped = new SameId(0);
    stopped.observe(younger, 0);
    stopped.observe({ ...younger, stopping: true }, 500);
    expect(stopped.decide(OWN, 600).do).toBe('return');
    expect(stopped.decide(OWN, 700).do).toBe('none');
    const silent = new SameId(0);
    silent.observe(younger, 0);
    expect(silent.decide(OWN, GONE_MS - 1).do).toBe('none');
    expect(silent.decide(OWN, GONE_MS).do).toBe('return');
  });

  it('of two others it watches the younger', () => {
    const watch = new SameId(0);
    watch.observe(younger, 0);
    watch.observe(older, 100);
    expect(watch.decide(OWN, 200).other).toMatchObject(younger);
  });
});
