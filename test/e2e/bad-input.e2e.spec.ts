import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRng } from '#libs/kernel';
import { ApiClient, Cluster } from '#libs/testing';
import { hostileRequest, NOT_HTTP } from './hostile-requests.js';

const REQUESTS = 1_500;
const AT_ONCE = 16;
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);

/** What anybody may send: an answer that names the fault, never a broken process. */
describe(`bad input (seed ${SEED})`, () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.whole();
  });
  afterAll(() => cluster?.dispose());

  it.each(['the gateway', 'the leader', 'the observer'])(
    '%s answers with 4xx and a code, or does it',
    async (who) => {
      const before = pids(cluster);
      const port = await portOf(cluster, who);
      const rng = seededRng(SEED);
      const faults = new Map<string, string>();
      let sent = 0;
      const client = async () => {
        while (sent < REQUESTS) {
          const number = sent++;
          const { line, bytes } = hostileRequest(rng);
          const answer = await exchange(port, bytes);
          const fault = faultOf(answer, line.startsWith('HEAD '));
          if (fault && !faults.has(fault)) faults.set(fault, `#${number} ${line.slice(0, 200)}`);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, client));
      expect(Object.fromEntries(faults)).toEqual({});
      expect(pids(cluster)).toEqual(before);
    },
  );

  it('bytes that are not HTTP close a connection, and nothing else', async () => {
    const before = pids(cluster);
    const ports = await Promise.all(['the gateway', 'the leader'].map((who) => portOf(cluster, who)));
    const answers = await Promise.all(
      ports.flatMap((port) => NOT_HTTP.map((bytes) => exchange(port, bytes))),
    );
    for (const answer of answers) expect(answer).not.toMatch(/^HTTP\/1.1 5/);
    expect(pids(cluster)).toEqual(before);
  });

  it('everything works as before', async () => {
    const gateway = new ApiClient(cluster.gateway, 1);
    const written = await gateway.put('after.fuzz', 'k', 'v');
    expect(written.status).toBe(201);
    const { version } = JSON.parse(written.body.toString()) as { version: number };
    expect((await gateway.get('after.fuzz', 'k', { minVersion: version })).body.toString()).toBe('v');
    await gateway.close();
    await cluster.whole();
  });
});

function pids(cluster: Cluster): Record<string, number> {
  const names = [
    'node-1',
    'node-2',
    'node-3',
    'node-4',
    'gateway-1',
    'gateway-2',
    'registry',
    'failover-1',
    'sync',
  ];
  return Object.fromEntries(names.map((name) => [name, cluster.pid(name)]));
}

async function portOf(cluster: Cluster, who: string): Promise<number> {
  if (who === 'the gateway') return cluster.port;
  const id = who === 'the leader' ? await cluster.leader() : 'node-4';
  return Number(new URL(await cluster.address(id)).port);
}

/** Sends bytes and returns what comes back within a moment; a stream may go on for ever. */
function exchange(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    let received = '';
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(received);
    };
    // A read may wait 5 s for a version; a healthy process answers anything else long before.
    const timer = setTimeout(finish, 8_000);
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (received.includes('text/event-stream') && received.includes('\r\n\r\n')) finish();
    });
    socket.on('error', finish);
    socket.on('close', finish);
    socket.write(bytes);
  });
}

/** 504 is what a read says that waited in vain for a version; a server error is never right. */
function faultOf(answer: string, headOnly: boolean): string | undefined {
  if (answer === '') return 'no answer';
  const status = Number(answer.slice(9, 12));
  if (status < 400) return undefined;
  const code = /"code":"([a-z-]+)"/.exec(answer)?.[1];
  if (status >= 500 && code !== 'version-not-reached') return `${status} ${code ?? ''}`;
  if (headOnly) return undefined;
  if (!code || !/content-type: application\/problem\+json/i.test(answer)) {
    return `no problem: ${answer.slice(0, answer.indexOf('\r\n'))} ${answer.slice(answer.indexOf('\r\n\r\n') + 4, 200)}`;
  }
  return undefined;
}
