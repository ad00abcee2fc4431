import { describe, expect, it } from 'vitest';
import { deferred } from '#libs/kernel';
import { Admission } from './admission.js';

const refused = expect.objectContaining({ code: 'cluster-busy' });

function admission(limits: { atOnce: number; waiting: number; waitMs?: number }) {
  return new Admission({ waitMs: 60_000, refusal: 'too much', ...limits });
}

describe('finding 6a: heavy work is admitted a few pieces at a time', () => {
  it('runs what may run, lets some wait in order, and refuses the rest', async () => {
    const gate = admission({ atOnce: 2, waiting: 2 });
    const ends = Array.from({ length: 4 }, () => deferred<void>());
    const began: number[] = [];
    const runs = ends.map((end, index) =>
      gate.execute(() => {
        began.push(index);
        return end.promise;
      }),
    );
    await expect(gate.execute(async () => began.push(9))).rejects.toEqual(refused);
    expect(began).toEqual([0, 1]);
    ends[1]?.resolve();
    await runs[1];
    expect(began).toEqual([0, 1, 2]);
    for (const end of ends) end.resolve();
    await Promise.all(runs);
    expect(began).toEqual([0, 1, 2, 3]);
    expect(gate.size).toBe(0);
  });

  it('gives the place on when the work fails', async () => {
    const gate = admission({ atOnce: 1, waiting: 1 });
    const end = deferred<void>();
    const first = gate.execute(() => end.promise);
    const second = gate.execute(async () => 'done');
    end.reject(new Error('broken'));
    await expect(first).rejects.toThrow('broken');
    expect(await second).toBe('done');
  });

  it('refuses what has waited too long, and only that', async () => {
    const gate = admission({ atOnce: 1, waiting: 5, waitMs: 1 });
    const end = deferred<void>();
    const first = gate.execute(() => end.promise);
    await expect(gate.execute(async () => undefined)).rejects.toEqual(refused);
    end.resolve();
    await first;
    expect(await gate.execute(async () => 'next')).toBe('next');
  });
});
