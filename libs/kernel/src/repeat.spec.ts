import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { deferred } from './deferred.js';
import { repeat } from './repeat.js';

const unexpected = (error: unknown) => {
  throw error;
};

describe('repeat', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('waits from the end of a run to the beginning of the next', async () => {
    const runs = [deferred<void>(), deferred<void>()];
    let begun = 0;
    const loop = repeat(() => runs[begun++]?.promise, { everyMs: 100, onError: unexpected });
    await vi.advanceTimersByTimeAsync(500);
    expect(begun).toBe(1);
    runs[0]?.resolve();
    await vi.advanceTimersByTimeAsync(99);
    expect(begun).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(begun).toBe(2);
    runs[1]?.resolve();
    await loop.stop();
  });

  it.each(['at once', 'later'])('goes on after a run that fails %s', async (when) => {
    const errors: unknown[] = [];
    let runs = 0;
    const fail = (): Promise<void> => {
      runs++;
      if (when === 'at once') throw new Error(`run ${runs}`);
      return Promise.reject(new Error(`run ${runs}`));
    };
    const loop = repeat(fail, { everyMs: 10, firstAfterMs: 10, onError: (error) => errors.push(error) });
    await vi.advanceTimersByTimeAsync(35);
    await loop.stop();
    expect(errors).toEqual([new Error('run 1'), new Error('run 2'), new Error('run 3')]);
  });

  it('joins a run that pokes itself by running once more after it', async () => {
    let runs = 0;
    const loop = repeat(
      () => {
        runs++;
        if (runs === 1) loop.trigger();
        expect(runs).toBeLessThan(3);
      },
      { everyMs: 1_000, onError: unexpected },
    );
    await vi.advanceTimersByTimeAsync(1);
    expect(runs).toBe(2);
    await loop.stop();
  });

  it('waits for the run that is under way when it is stopped, and begins no other', async () => {
    const run = deferred<void>();
    let runs = 0;
    const loop = repeat(
      () => {
        runs++;
        return run.promise;
      },
      { everyMs: 10, onError: unexpected },
    );
    await vi.advanceTimersByTimeAsync(1);
    loop.trigger();
    let stopped = false;
    const stopping = loop.stop().then(() => {
      stopped = true;
    });
    await vi.advanceTimersByTimeAsync(50);
    expect(stopped).toBe(false);
    run.resolve();
    await stopping;
    await vi.advanceTimersByTimeAsync(50);
    expect(runs).toBe(1);
  });
});
