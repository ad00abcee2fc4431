import type { SendHandle } from 'node:child_process';
import { type ChildProcess, spawn } from 'node:child_process';
import { endsWithin, type ServerExit } from '#libs/embedded-servers';
import { deferred } from '#libs/kernel';
import type { ServiceProcess } from '../domain/process-plan.js';
import type { Launch, Launched } from './supervised.js';

/** A service that is told to stop while it starts has nothing to drain. */
const START_STOP_GRACE_MS = 2_000;

export interface ServiceSurroundings {
  /** The compiled program of an app. */
  programOf: (app: string) => string;
  workingDirectory: string;
  /** What every child has beside its own settings. */
  environment: Readonly<Record<string, string>>;
  /** Where the gateways accept connections. */
  door: SendHandle;
  onOutput: (name: string, chunk: Buffer) => void;
  /** Told of a service that had to be killed. */
  onStuck: (name: string) => void;
}

/** Launches a service as a process of its own group, tied to this one by an IPC channel alone. */
export function serviceLauncher(service: ServiceProcess, around: ServiceSurroundings): Launch {
  return async ({ onSpawned, signal }) => {
    const child = spawn(
      process.execPath,
      [...service.engineFlags, '--enable-source-maps', around.programOf(service.app)],
      {
        cwd: around.workingDirectory,
        env: { ...around.environment, ...service.env },
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      },
    );
    const exit = deferred<ServerExit>();
    const ready = deferred<void>();
    child.once('spawn', () => onSpawned(child.pid ?? 0));
    child.once('error', (error) => {
      exit.resolve({ code: null, signal: null });
      ready.reject(error);
    });
    child.once('exit', (code, signal) => {
      exit.resolve({ code, signal });
      const how = signal ? `ended by ${signal}` : `ended with exit code ${code}`;
      ready.reject(new Error(`${how} while starting`));
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => around.onOutput(service.name, chunk));
    }
    child.on('message', (message: unknown) => {
      if (isReady(message)) ready.resolve();
    });
    if (service.kind === 'gateway') handOver(child, around.door);

    const stop = async (graceMs: number) => {
      if (graceMs > 0) {
        child.kill('SIGTERM');
        if (await endsWithin(exit.promise, graceMs)) return;
        around.onStuck(service.name);
      }
      child.kill('SIGKILL');
      await exit.promise;
    };
    const launched = { exited: exit.promise, stop };
    await untilReady(ready.promise, launched, signal);
    return launched;
  };
}

async function untilReady(ready: Promise<void>, launched: Launched, signal: AbortSignal): Promise<void> {
  const aborted = deferred<void>();
  const onAbort = () => aborted.reject(new Error('told to stop while starting'));
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    await Promise.race([ready, aborted.promise]);
  } catch (error) {
    if (signal.aborted) await launched.stop(START_STOP_GRACE_MS);
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** A child that dies before it gets the handle is started again like any other, and gets it then. */
function handOver(child: ChildProcess, door: SendHandle): void {
  child.send({ type: 'listen' }, door, (error) => {
    if (error && child.connected) child.kill('SIGTERM');
  });
}

function isReady(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready';
}
