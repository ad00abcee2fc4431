import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  type LaunchOptions,
  readyWithin,
  type ServerProcess,
  spawnServer,
  waitUntilReady,
} from './child-server.js';
import { freePort } from './free-port.js';
import { keepConfig } from './kept-config.js';
import { keptSecret } from './kept-secret.js';
import { probeTcp } from './probe.js';
import { findProgram } from './programs.js';

const HOST = '127.0.0.1';

export interface RedisServer extends ServerProcess {
  readonly host: string;
  readonly port: number;
  readonly password: string;
}

export interface StartRedis extends LaunchOptions {
  dir: string;
  port?: number;
}

/** A redis-server with a password, on the loopback interface. It is a cache: it keeps nothing on disk. */
export async function startRedis(options: StartRedis): Promise<RedisServer> {
  const dir = resolve(options.dir);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const program = findProgram('redis-server');
  const port = options.port ?? (await freePort());
  const password = await keptSecret(join(dir, 'password'));
  const file = join(dir, 'redis.conf');
  await keepConfig(file, redisConfig({ port, password, dir }));

  const server = await spawnServer({
    name: 'redis-server',
    program,
    args: [file],
    cwd: dir,
    stopSignals: [{ signal: 'SIGTERM', graceMs: 3_000 }],
    onOutput: options.onOutput,
    onSpawned: options.onSpawned,
  });
  const ready = () =>
    probeTcp({
      host: HOST,
      port,
      request: `AUTH ${password}\r\nPING\r\n`,
      judge: (received) => {
        const text = received.toString('latin1');
        if (text.startsWith('-')) return false;
        return text.includes('+PONG') ? true : undefined;
      },
    });
  await waitUntilReady(server, ready, readyWithin(options, 30_000));
  return { ...server, host: HOST, port, password };
}

function redisConfig(settings: { port: number; password: string; dir: string }): string {
  return `# Written at every start.
bind ${HOST}
protected-mode yes
port ${settings.port}
requirepass ${settings.password}
dir ${JSON.stringify(settings.dir)}
daemonize no
save ""
appendonly no
maxmemory 64mb
maxmemory-policy allkeys-lfu
tcp-keepalive 60
`;
}
