import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  freePorts,
  isPortFree,
  processIdentity,
  startNats,
  startPostgres,
  startRedis,
} from '#libs/embedded-servers';

let home: string;
const running: { stop(): Promise<void> }[] = [];

/** Servers of a test end with it, also when it fails half-way. */
function keep<T extends { stop(): Promise<void> }>(server: T): T {
  running.push(server);
  return server;
}

beforeAll(async () => {
  // Only its owner may enter, as with a checkout below /root: Postgres must work in there all the same.
  home = await mkdtemp(join(tmpdir(), 'holdfast-servers-'));
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
});
afterAll(async () => {
  await rm(home, { recursive: true, force: true });
});

async function ask(
  server: { host: string; port: number; superuser: string; password: string; database: string },
  text: string,
) {
  const { host, port, superuser: user, password, database } = server;
  const client = new pg.Client({ host, port, user, password, database });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

describe('startPostgres', () => {
  it('is durable, asks for a password, and keeps its data over a clean stop and a kill', async () => {
    const dir = join(home, 'postgres');
    const first = keep(await startPostgres({ dir }));
    const [settings] = await ask(
      first,
      `select current_setting('server_version_num')::int / 10000 as major, current_setting('fsync') as fsync,
        current_setting('synchronous_commit') as commit, current_setting('full_page_writes') as pages,
        current_setting('data_checksums') as checksums, current_setting('listen_addresses') as listens,
        current_setting('unix_socket_directories') as sockets`,
    );
    expect(settings).toEqual({
      major: 18,
      fsync: 'on',
      commit: 'on',
      pages: 'on',
      checksums: 'on',
      listens: '127.0.0.1',
      sockets: '',
    });
    await expect(ask({ ...first, password: 'wrong' }, 'select 1')).rejects.toThrow(/password/);
    await ask(first, 'create table t as select 1 as a');
    await first.stop();
    expect(await first.exited).toEqual({ code: 0, signal: null });

    const second = keep(await startPostgres({ dir, port: first.port }));
    expect(await ask(second, 'select a from t')).toEqual([{ a: 1 }]);
    await ask(second, 'insert into t values (2)');
    second.kill('SIGKILL');
    await second.exited;

    const third = keep(await startPostgres({ dir, port: first.port }));
    expect(await ask(third, 'select a from t order by a')).toEqual([{ a: 1 }, { a: 2 }]);
  });

  it('starts over a pid file that names an unrelated live process, not over a running server', async () => {
    const dir = join(home, 'postgres');
    await writeFile(
      join(dir, 'data', 'postmaster.pid'),
      `${process.pid}\n/elsewhere\n1\n5432\n\n127.0.0.1\n`,
    );
    const server = keep(await startPostgres({ dir }));
    await expect(startPostgres({ dir })).rejects.toThrow(`another Postgres (pid ${server.pid})`);
    expect(await ask(server, 'select 1 as a')).toEqual([{ a: 1 }]);
  });

  it('says in the words of Postgres why it did not start', async () => {
    const dir = join(home, 'postgres');
    await expect(startPostgres({ dir, settings: { shared_buffers: 'plenty' } })).rejects.toThrow(
      /ended with exit code 1 while starting.*invalid value for parameter "shared_buffers"/s,
    );
  });
});

describe('startNats', () => {
  it('has JetStream, demands the password and keeps its secrets to its owner', async () => {
    const dir = join(home, 'nats');
    const server = keep(await startNats({ dir }));
    const answer = await talk(server.port, `CONNECT {"verbose":false}\r\nPING\r\n`, /Violation|PONG/);
    expect(answer).toMatch(/"jetstream":true/);
    expect(answer).toMatch(/Authorization Violation/);
    for (const file of ['nats.conf', 'password'])
      expect((await stat(join(dir, file))).mode & 0o777).toBe(0o600);
    await server.stop();

    const again = keep(await startNats({ dir, port: server.port }));
    expect([again.port, again.password]).toEqual([server.port, server.password]);
  });

  it('names the port when it is taken', async () => {
    const holder = createServer((socket) => socket.resume());
    const [port = 0] = await freePorts(1);
    await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve));
    try {
      await expect(startNats({ dir: join(home, 'nats'), port })).rejects.toThrow(/address already in use/);
    } finally {
      await new Promise((resolve) => holder.close(resolve));
    }
  });
});

describe('startRedis', () => {
  it('demands the password and is a bounded cache', async () => {
    const server = keep(await startRedis({ dir: join(home, 'redis') }));
    expect(await talk(server.port, 'PING\r\n', /\n/)).toMatch(/NOAUTH/);
    const login = `AUTH ${server.password}\r\n`;
    const policy = await talk(server.port, `${login}CONFIG GET maxmemory*\r\n`, /noeviction|allkeys-\w+/);
    expect(policy).toMatch(/allkeys-lfu/);
    expect(policy).toMatch(/67108864/);
    expect(await readFile(join(home, 'redis', 'redis.conf'), 'utf8')).toMatch(/^bind 127\.0\.0\.1$/m);
  });
});

describe('ports and processes', () => {
  it('finds different free ports below the range of outgoing connections', async () => {
    const ports = await freePorts(20);
    expect(new Set(ports).size).toBe(20);
    const outgoing = Number.parseInt(await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10);
    expect(Math.max(...ports)).toBeLessThan(outgoing);
    expect(await Promise.all(ports.map((port) => isPortFree(port)))).not.toContain(false);
  });

  it('tells processes apart', () => {
    expect(processIdentity(process.pid)).toBe(processIdentity(process.pid));
    // Not the parent: it may have started within the same tick of the clock.
    expect(processIdentity(process.pid)).not.toBe(processIdentity(1));
    expect(processIdentity(2 ** 30)).toBeUndefined();
  });
});

function talk(port: number, request: string, until: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    socket.on('data', (chunk) => {
      text += chunk;
      if (until.test(text)) socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => resolve(text));
  });
}
