import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { FaultProxy } from './fault-proxy.js';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** An echo server behind a proxy, and one client connected through it. */
async function echoThroughProxy() {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  const proxy = await FaultProxy.start({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  closers.push(() => proxy.close());
  return { proxy, client: await dial(proxy.port) };
}

async function dial(port: number) {
  const socket = connect({ host: '127.0.0.1', port });
  let received = '';
  let failure: string | undefined;
  socket.on('data', (bytes) => {
    received += bytes.toString();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    failure = error.code;
  });
  await new Promise((resolve) => socket.once('connect', resolve).once('error', resolve));
  closers.push(async () => socket.destroy());
  const until = async (done: () => boolean, withinMs = 2_000) => {
    const deadline = performance.now() + withinMs;
    while (!done() && performance.now() < deadline) await new Promise((r) => setTimeout(r, 2));
    return done();
  };
  return {
    socket,
    send: (text: string) => socket.write(text),
    got: (text: string, withinMs?: number) => until(() => received === text, withinMs),
    failed: (code: string) => until(() => failure === code),
    get received() {
      return received;
    },
  };
}

describe('FaultProxy', () => {
  it('passes bytes and ends on', async () => {
    const { client } = await echoThroughProxy();
    client.send('hello');
    expect(await client.got('hello')).toBe(true);
    const closed = new Promise((resolve) => client.socket.once('close', resolve));
    client.socket.end();
    await closed;
  });

  it('delays, and keeps the order', async () => {
    const { proxy, client } = await echoThroughProxy();
    proxy.delay(60);
    const begin = performance.now();
    client.send('a');
    client.send('b');
    expect(await client.got('ab')).toBe(true);
    expect(performance.now() - begin).toBeGreaterThanOrEqual(115);
  });

  it('holds bytes while paused and delivers them afterwards', async () => {
    const { proxy, client } = await echoThroughProxy();
    proxy.pause('down');
    client.send('held');
    expect(await client.got('held', 80)).toBe(false);
    proxy.resume('down');
    expect(await client.got('held')).toBe(true);
  });

  it('drops one direction without closing, and resets the connection when healed', async () => {
    const { proxy, client } = await echoThroughProxy();
    proxy.drop('up');
    client.send('gone');
    expect(await client.got('gone', 80)).toBe(false);
    expect(client.socket.destroyed).toBe(false);
    proxy.heal();
    expect(await client.failed('ECONNRESET')).toBe(true);
    const again = await dial(proxy.port);
    again.send('back');
    expect(await again.got('back')).toBe(true);
  });

  it('limits bandwidth', async () => {
    const { proxy, client } = await echoThroughProxy();
    proxy.bandwidth(100_000, 'up');
    const begin = performance.now();
    client.send('x'.repeat(10_000));
    client.send('y');
    await client.got(`${'x'.repeat(10_000)}y`);
    expect(performance.now() - begin).toBeGreaterThanOrEqual(95);
  });

  it('resets open connections and refuses new ones', async () => {
    const { proxy, client } = await echoThroughProxy();
    proxy.refuse();
    proxy.reset();
    expect(await client.failed('ECONNRESET')).toBe(true);
    const refused = await dial(proxy.port);
    refused.send('x');
    expect(await refused.failed('ECONNRESET')).toBe(true);
    expect(proxy.connections).toBe(0);
  });

  it('closes the client when the server is not there', async () => {
    const { proxy } = await echoThroughProxy();
    proxy.retarget({ host: '127.0.0.1', port: 1 });
    const client = await dial(proxy.port);
    expect(await client.failed('ECONNRESET')).toBe(true);
  });
});
