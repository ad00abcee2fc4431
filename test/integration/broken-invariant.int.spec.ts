import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, startNats } from '#libs/embedded-servers';
import { ensureBuilt, ROOT } from '#libs/testing';

let home: string;
let nats: NatsServer;

beforeAll(async () => {
  ensureBuilt();
  home = await mkdtemp(join(tmpdir(), 'holdfast-broken-'));
  nats = await startNats({ dir: join(home, 'nats') });
});
afterAll(async () => {
  await nats.stop();
  await rm(home, { recursive: true, force: true });
});

interface Started {
  child: ChildProcess;
  port: number;
  /** Log lines of the process so far. */
  log: () => string;
}

async function start(way: string): Promise<Started> {
  const program = join(ROOT, 'test/integration/broken-invariant.mjs');
  const child = fork(program, [way, String(nats.port), nats.user, nats.password], {
    silent: true,
    // Not those of the test: built programs resolve to built libraries.
    execArgv: [],
  });
  let log = '';
  child.stdout?.on('data', (chunk) => {
    log += String(chunk);
  });
  const port = await new Promise<number>((resolve) => {
    child.on('message', (message: { ready?: number }) => {
      if (message.ready !== undefined) resolve(message.ready);
    });
    child.once('exit', () => resolve(0));
  });
  return { child, port, log: () => log };
}

async function exitCode({ child }: Started): Promise<number | null> {
  if (child.exitCode === null) await once(child, 'close');
  return child.exitCode;
}

describe('item 2: a broken invariant ends the process with 1, whichever way it came in', () => {
  it.each([
    ['loop', async () => undefined, 'node-1 stands 2 times in the list'],
    ['logged-loop', async () => undefined, 'TypeError'],
    ['subscriber', async () => undefined, 'node-1 stands 2 times in the list'],
    ['nest-event', async () => undefined, 'node-1 stands 2 times in the list'],
    ['question', async () => undefined, 'node-1 stands 2 times in the list'],
    ['nest-http', (port: number) => fetch(`http://127.0.0.1:${port}/broken`), 'node-1 stands 2 times'],
    ['raw-http', (port: number) => fetch(`http://127.0.0.1:${port}/raw`), 'TypeError'],
  ])('%s', async (way, cause, says) => {
    const started = await start(way);
    if (started.port !== 0) await Promise.allSettled([cause(started.port)]);
    expect(await exitCode(started)).toBe(1);
    const fatal = started
      .log()
      .split('\n')
      .find((line) => line.includes('"level":"fatal"'));
    expect(fatal).toContain(says);
    expect(started.log()).not.toContain('swallowed');
  });

  it('while input that cannot be read is an answer, not an end', async () => {
    const started = await start('none');
    const answer = await fetch(`http://127.0.0.1:${started.port}/refused`);
    expect(answer.status).toBe(500);
    expect((await fetch(`http://127.0.0.1:${started.port}/ping`)).status).toBe(200);
    started.child.kill('SIGTERM');
    expect(await exitCode(started)).toBe(0);
  });
});
