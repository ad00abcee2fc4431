import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { dial } from './dial.js';
import { LivenessConnection, type LivenessEvent } from './liveness-connection.js';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

async function listen(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it.each([
  { how: 'kept', meet: (socket: Socket) => socket.on('error', () => undefined), outcome: 'accepted' },
  { how: 'reset at once', meet: (socket: Socket) => socket.resetAndDestroy(), outcome: 'dropped' },
  { how: 'ended at once', meet: (socket: Socket) => socket.end(), outcome: 'dropped' },
])('a connection that is $how is $outcome', async ({ meet, outcome }) => {
  const address = await listen(createServer(meet));
  expect(await dial(address, 250)).toBe(outcome);
});

it('nobody there: refused', async () => {
  const server = createServer();
  const address = await listen(server);
  await new Promise((resolve) => servers.pop()?.close(resolve));
  expect(await dial(address, 250)).toBe('refused');
});

it('a process whose port is closed last of all is not taken for a living one', async () => {
  let dials = 0;
  const held = new Set<Socket>();
  const server = createHttpServer((_request, response) => response.write('\n'));
  server.on('connection', (socket) => {
    held.add(socket);
    socket.on('error', () => undefined);
    if (held.size === 1) return;
    // What the kernel does, a little later, with connections that were queued at a port when the port is closed.
    dials++;
    setTimeout(() => {
      server.close();
      socket.resetAndDestroy();
    }, 5);
  });
  const address = await listen(server);
  const events: LivenessEvent[] = [];
  const tether = new LivenessConnection(address, (event) => events.push(event));
  await expect.poll(() => events).toEqual(['connection-opened']);
  for (const socket of held) socket.resetAndDestroy();
  await expect.poll(() => events.length).toBeGreaterThanOrEqual(4);
  await tether.stop();
  servers.length = 0;
  expect(dials).toBe(1);
  expect(events.slice(0, 4)).toEqual([
    'connection-opened',
    'connection-closed',
    'dial-refused',
    'dial-refused',
  ]);
});
