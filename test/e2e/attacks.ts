import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ApiClient, type Cluster, ROOT, until } from '#libs/testing';

export interface AttackRequest {
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: string;
  bodyBase64?: boolean;
}

export interface Attack {
  name: string;
  /** Sent to the leader itself, past the gateways. */
  direct?: boolean;
  requests: AttackRequest[];
}

const MIB = 1024 * 1024;
const LINES = 20_000;
const reads = (query: string): AttackRequest[] => [
  { path: `/v1/namespaces/attacked/configs/plain?${query}` },
];
const yaml = Array.from({ length: 25_000 }, (_, i) => `key-${i}: &a${i} [1, "two", {three: 3}]`).join('\n');
const post = (body: string, headers: Record<string, string> = {}): AttackRequest => ({
  method: 'POST',
  path: '/v1/changes',
  headers: { 'content-type': 'application/json', ...headers },
  body,
});
const change = '{"operations":[{"op":"put","namespace":"attacked","key":"posted","value":"x"}]';

/** Legal requests, each of which once deposed leaders or kept others waiting. */
const THROUGH_GATEWAYS: readonly Attack[] = [
  {
    name: 'finding 6a: listings',
    requests: [{ path: '/v1/namespaces/control/configs?limit=1000&values=true' }],
  },
  { name: 'finding 6b: padded bodies', requests: [post(`${change}${' '.repeat(7 * MIB)}}`)] },
  {
    name: 'finding 6c: watches with initial values',
    requests: [
      { path: '/v1/namespaces/control/watch?initial=true', headers: { accept: 'text/event-stream' } },
    ],
  },
  { name: 'finding 10: reads that wait', requests: reads('minVersion=999999999&timeout=2s') },
  {
    name: 'finding 8: long polls on large values',
    requests: [
      ...Array.from({ length: 24 }, (_, i) => ({
        path: `/v1/watch?w=control:&w=app-${i}:&from=1&wait=1s`,
        headers: { accept: 'application/json' },
      })),
      {
        method: 'PUT',
        path: '/v1/namespaces/control/configs/large-0',
        headers: { 'content-type': 'application/octet-stream' },
        body: Buffer.alloc(MIB - 1).toString('base64'),
        bodyBase64: true,
      },
    ],
  },
  {
    name: 'finding 14: the log of a namespace',
    requests: [{ path: '/v1/changes?namespace=attacked&limit=1000' }],
  },
  { name: 'finding 19: all namespaces', requests: [{ path: '/v1/namespaces?limit=1000' }] },
  {
    name: 'report 9c: histories and diffs',
    requests: [
      { path: '/v1/namespaces/control/history/large-0' },
      { path: '/v1/namespaces/attacked/diff/lines' },
    ],
  },
  {
    name: 'report 1: values that take long to check',
    requests: [
      {
        method: 'PUT',
        path: '/v1/namespaces/attacked/configs/heavy.yaml',
        headers: { 'content-type': 'application/yaml' },
        body: yaml,
      },
    ],
  },
  { name: 'linearizable reads', requests: reads('consistency=linearizable') },
  {
    name: 'finding 3: wrong signatures',
    requests: [
      { path: '/internal/snapshot', headers: { 'holdfast-signature': `v1 ${'A'.repeat(120)}` } },
      post(`${change}}`, { 'holdfast-cluster-key': 'wrong' }),
    ],
  },
];

export const ATTACKS: readonly Attack[] = [
  ...THROUGH_GATEWAYS,
  ...THROUGH_GATEWAYS.map((attack) => ({ ...attack, name: `${attack.name}, at the leader`, direct: true })),
];

export async function prepareAttacked(cluster: Cluster): Promise<void> {
  const client = new ApiClient(cluster.gateway, 4);
  const binary = { contentType: 'application/octet-stream' };
  for (let i = 0; i < 4; i++) await client.put('control', `large-${i}`, Buffer.alloc(MIB), binary);
  const lines = Array.from({ length: LINES }, (_, i) => `line ${i}`);
  await client.put('attacked', 'lines', lines.join('\n'));
  await client.put('attacked', 'lines', lines.reverse().join('\n'));
  const { body } = await client.put('attacked', 'plain', 'value');
  const { version } = JSON.parse(body.toString()) as { version: number };
  await client.close();
  const isEverywhere = async () => (await cluster.view()).nodes.every((node) => node.version >= version);
  await until('every node has it', isEverywhere, 30_000, 50);
}

export interface AttackOutcome {
  statuses: Record<string, number>;
  reads: number;
  failedReads: Record<string, number>;
  p50Ms: number;
  p99Ms: number;
}

/** 100 requests of the attack in parallel for a time, and 100 plain reads a second beside them. */
export async function runAttack(cluster: Cluster, attack: Attack, seconds: number): Promise<AttackOutcome> {
  const leader = attack.direct ? await cluster.address(await cluster.leader()) : undefined;
  const port = leader === undefined ? cluster.port : Number(new URL(leader).port);
  const attacker = spawn(
    process.execPath,
    [join(ROOT, 'test/e2e/attacker.mjs'), String(port), String(seconds)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  let output = '';
  attacker.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  const ended = new Promise((resolve) => attacker.once('close', resolve));
  attacker.stdin.end(attack.requests.map((it) => JSON.stringify(it)).join('\n'));
  const beside = await plainReads(cluster.gateway, seconds);
  await ended;
  return { statuses: JSON.parse(output) as Record<string, number>, ...beside };
}

const READS_PER_S = 100;

async function plainReads(gateway: string, seconds: number): Promise<Omit<AttackOutcome, 'statuses'>> {
  const client = new ApiClient(gateway, 16);
  const failedReads: Record<string, number> = {};
  const latenciesMs: number[] = [];
  const read = async (dueMs: number) => {
    const outcome = await client.get('attacked', 'plain').then(
      ({ status }) => String(status),
      (error: { code?: string }) => String(error.code),
    );
    latenciesMs.push(performance.now() - dueMs);
    if (outcome !== '200') failedReads[outcome] = (failedReads[outcome] ?? 0) + 1;
  };
  const beginMs = performance.now();
  const underWay: Promise<void>[] = [];
  for (let sent = 0; sent < seconds * READS_PER_S; ) {
    const due = ((performance.now() - beginMs) * READS_PER_S) / 1_000;
    for (; sent < due && sent < seconds * READS_PER_S; sent++) {
      underWay.push(read(beginMs + (sent * 1_000) / READS_PER_S));
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await Promise.all(underWay);
  await client.close();
  const sorted = latenciesMs.sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
  return { reads: sorted.length, failedReads, p50Ms: at(0.5), p99Ms: at(0.99) };
}
