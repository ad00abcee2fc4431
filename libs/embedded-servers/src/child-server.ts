import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { deferred } from '#libs/kernel';

const TAIL_BYTES = 4_096;
const TAIL_LINES = 12;
const PROBE_EVERY_MS = 20;
const LAST_WORDS_WITHIN_MS = 300;

export interface ServerExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A server that runs as a child of this process, in a process group of its own. */
export interface ServerProcess {
  readonly name: string;
  readonly pid: number;
  readonly child: ChildProcess;
  readonly exited: Promise<ServerExit>;
  /** The end of what it wrote to its output. */
  tail(): string;
  /** Ends it in its own orderly way; by force when that takes too long. Safe to call twice. */
  stop(): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

export class ServerFailed extends Error {
  override readonly name = 'ServerFailed';
}

/** What every launcher takes. */
export interface LaunchOptions {
  readyWithinMs?: number;
  onOutput?: (chunk: Buffer) => void;
  /** Called as soon as the process exists, long before it is ready. */
  onSpawned?: (pid: number) => void;
  /** Ends a launch that is under way. */
  signal?: AbortSignal;
}

export interface SpawnServer {
  name: string;
  program: string;
  args: string[];
  cwd: string;
  env?: Record<string, string>;
  uid?: number;
  gid?: number;
  extraFds?: number[];
  /** Tried in turn until one has ended the server; SIGKILL comes after the last. */
  stopSignals: { signal: NodeJS.Signals; graceMs: number }[];
  onOutput?: (chunk: Buffer) => void;
  onSpawned?: (pid: number) => void;
}

/** Starts the program. The environment is not inherited: a PGOPTIONS or MALLOC_CONF of the user must not matter. */
export async function spawnServer(options: SpawnServer): Promise<ServerProcess> {
  const child = spawn(options.program, options.args, {
    cwd: options.cwd,
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC', ...options.env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', ...(options.extraFds ?? [])],
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.gid ?? options.uid }),
  });
  const exit = deferred<ServerExit>();
  const started = deferred<number>();
  let ended = false;
  child.once('spawn', () => started.resolve(child.pid ?? 0));
  child.once('error', (error) =>
    started.reject(
      new ServerFailed(`${options.name}: cannot run ${options.program}: ${error.message}`, { cause: error }),
    ),
  );
  child.once('exit', (code, signal) => {
    ended = true;
    // Its last words arrive until 'close'; a grandchild that outlives it may hold the pipe open for long.
    const settle = () => exit.resolve({ code, signal });
    const timer = setTimeout(settle, LAST_WORDS_WITHIN_MS);
    child.once('close', () => {
      clearTimeout(timer);
      settle();
    });
  });

  let tail = Buffer.alloc(0);
  const listen = (stream: Readable | null) =>
    stream?.on('data', (chunk: Buffer) => {
      tail = Buffer.concat([tail, chunk]).subarray(-TAIL_BYTES);
      options.onOutput?.(chunk);
    });
  listen(child.stdout);
  listen(child.stderr);

  const kill = (signal: NodeJS.Signals) => {
    if (!ended) child.kill(signal);
  };
  const stop = async () => {
    for (const { signal, graceMs } of options.stopSignals) {
      kill(signal);
      if (await endsWithin(exit.promise, graceMs)) return;
    }
    kill('SIGKILL');
    await exit.promise;
  };
  let stopping: Promise<void> | undefined;
  const pid = await started.promise;
  options.onSpawned?.(pid);
  return {
    name: options.name,
    pid,
    child,
    exited: exit.promise,
    tail: () => tail.toString('utf8'),
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
    kill,
  };
}

/** Waits until `probe` says yes. A server that ends meanwhile, or needs too long, is reported with its last words. */
export async function waitUntilReady(
  server: ServerProcess,
  probe: () => Promise<boolean>,
  options: { readyWithinMs: number; signal?: AbortSignal },
): Promise<void> {
  const { readyWithinMs, signal } = options;
  const until = performance.now() + readyWithinMs;
  let ended: ServerExit | undefined;
  const exited = server.exited.then((exit) => {
    ended = exit;
  });
  while (!ended) {
    if (await probe()) return;
    if (signal?.aborted || performance.now() > until) {
      await server.stop();
      const why = signal?.aborted
        ? 'was told to stop while starting'
        : `was not ready after ${readyWithinMs} ms`;
      throw new ServerFailed(`${server.name} ${why}${lastWords(server)}`);
    }
    await Promise.race([wait(PROBE_EVERY_MS), exited]);
  }
  throw new ServerFailed(
    `${server.name} ended with ${ended.signal ?? `exit code ${ended.code}`} while starting${lastWords(server)}`,
  );
}

export function readyWithin(options: LaunchOptions, usualMs: number) {
  return { readyWithinMs: options.readyWithinMs ?? usualMs, signal: options.signal };
}

export async function endsWithin(exited: Promise<unknown>, ms: number): Promise<boolean> {
  const abort = new AbortController();
  const timeout = wait(ms, false, { signal: abort.signal }).catch(() => false);
  const ended = await Promise.race([exited.then(() => true), timeout]);
  abort.abort();
  return ended;
}

/** What a server last said, for the message of its failure. */
export function lastWords(server: Pick<ServerProcess, 'tail'>): string {
  const text = server.tail().trim();
  if (text === '') return ' (it wrote nothing)';
  const full = /No space left on device/.test(text) ? ' (the disk is full)' : '';
  return `${full}:\n${text.split('\n').slice(-TAIL_LINES).join('\n')}`;
}
