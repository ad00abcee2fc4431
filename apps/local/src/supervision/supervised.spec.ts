import { describe, expect, it } from 'vitest';
import type { ServerExit } from '#libs/embedded-servers';
import { type Deferred, deferred, seededRng, systemClock } from '#libs/kernel';
import { type Launch, Supervised, type SupervisorEvents } from './supervised.js';

/** Children without processes: each launch waits to be told whether it becomes ready, and then when it ends. */
class Stage implements SupervisorEvents {
  readonly told: string[] = [];
  readonly launches: { ready: Deferred<void>; exit: Deferred<ServerExit> }[] = [];

  readonly launch: Launch = async ({ onSpawned, signal }) => {
    const child = { ready: deferred<void>(), exit: deferred<ServerExit>() };
    this.launches.push(child);
    onSpawned(this.launches.length);
    signal.addEventListener('abort', () => child.ready.reject(new Error('told to stop')));
    await child.ready.promise;
    const stop = async () => child.exit.resolve({ code: 0, signal: null });
    return { exited: child.exit.promise, stop };
  };
  spawned(_: string, pid: number): void {
    this.told.push(`spawned ${pid}`);
  }
  ready(_: string, _tookMs: number, restarts: number): void {
    this.told.push(`ready ${restarts}`);
  }
  ended(): void {
    this.told.push('ended');
  }
  restarting(_: string, why: string): void {
    this.told.push(`restarting: ${why}`);
  }

  supervise(firstStartMustSucceed: boolean): Supervised {
    const options = { events: this, clock: systemClock, rng: seededRng(1), firstStartMustSucceed };
    return new Supervised('child', this.launch, options);
  }

  async launched(count: number) {
    while (this.launches.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    const child = this.launches[count - 1];
    if (!child) throw new Error('no such launch');
    return child;
  }
}

describe('Supervised', () => {
  it('starts a child again that ends, and not when it was told to stop', async () => {
    const stage = new Stage();
    const child = stage.supervise(true);
    const started = child.start();
    (await stage.launched(1)).ready.resolve();
    await started;
    (await stage.launched(1)).exit.resolve({ code: null, signal: 'SIGKILL' });
    (await stage.launched(2)).ready.resolve();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await child.stop(1_000);
    expect(stage.told).toEqual([
      ...['spawned 1', 'ready 0', 'ended', 'restarting: ended by SIGKILL'],
      ...['spawned 2', 'ready 1', 'ended'],
    ]);
  });

  it('gives up on a first start that must succeed', async () => {
    const stage = new Stage();
    const started = stage.supervise(true).start();
    (await stage.launched(1)).ready.reject(new Error('no disk'));
    await expect(started).rejects.toThrow('no disk');
    expect(stage.told).toEqual(['spawned 1', 'ended']);
  });

  it('tries again when the first start may fail', async () => {
    const stage = new Stage();
    const child = stage.supervise(false);
    const started = child.start();
    (await stage.launched(1)).ready.reject(new Error('ended with exit code 1 while starting'));
    (await stage.launched(2)).ready.resolve();
    await started;
    await child.stop(1_000);
    expect(stage.told).toContain('restarting: ended with exit code 1 while starting');
  });

  it('can be stopped while it starts, and while it waits to start again', async () => {
    const starting = new Stage();
    const first = starting.supervise(true);
    const started = first.start();
    await starting.launched(1);
    await first.stop(1_000);
    await started;
    expect(starting.told).toEqual(['spawned 1', 'ended']);

    const resting = new Stage();
    const second = resting.supervise(true);
    const ready = second.start();
    (await resting.launched(1)).ready.resolve();
    await ready;
    (await resting.launched(1)).exit.resolve({ code: 1, signal: null });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await second.stop(1_000);
    expect(resting.launches.length).toBe(1);
  });

  it('replaces a child on purpose at once, and a killed one like one that crashed', async () => {
    const stage = new Stage();
    const child = stage.supervise(true);
    expect([await child.replace(1_000), await child.kill()]).toEqual(['not-running', 'not-running']);
    const started = child.start();
    (await stage.launched(1)).ready.resolve();
    await started;
    expect(child.state).toEqual({ ready: true, restarts: 0 });
    expect(await child.replace(1_000)).toBe('ended');
    expect(child.state.ready).toBe(false);
    (await stage.launched(2)).ready.resolve();
    await expect.poll(() => child.state).toEqual({ ready: true, restarts: 1 });
    expect(await child.kill()).toBe('ended');
    (await stage.launched(3)).ready.resolve();
    await expect.poll(() => child.state).toEqual({ ready: true, restarts: 2 });
    await child.stop(1_000);
    expect(stage.told).toEqual([
      ...['spawned 1', 'ready 0', 'ended'],
      ...['spawned 2', 'ready 1', 'ended', 'restarting: ended with exit code 0'],
      ...['spawned 3', 'ready 2', 'ended'],
    ]);
  });
});
