import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changeFromWire, HEADERS, WireChange } from '#libs/contracts';
import { migrate } from '#libs/postgres';
import { chainAfter } from '#libs/replica';
import { until } from '#libs/testing';
import { REGISTRY_MIGRATIONS } from '../../../apps/registry/src/migrations/index.js';
import { type RunningGateway, startGateway } from '../gateway/running-gateway.js';
import { type ApiLab, type ApiNode, CLUSTER_KEY, openApiLab } from './api-lab.js';
import { bodyOf, configPath, OpenWatch, requestsTo, verdict } from './requests.js';

/** Ten of the thirty versions of `k` stay; the oldest of those is the 21st. */
const VERSIONS = 30;
const FLOOR = 22;
const operator = { [HEADERS.clusterKey]: CLUSTER_KEY, [HEADERS.operator]: '1' };

let lab: ApiLab;
let leader: ApiNode;
/** Starts when the history was removed already: what it does not have in memory it has to look for in the log. */
let young: ApiNode;

const { request, put, post } = requestsTo(() => leader);
const onYoung = requestsTo(() => young);

const rule = (value: unknown) =>
  request('PUT', configPath('history/retention', 'system'), JSON.stringify(value), {
    ...operator,
    'content-type': 'application/json',
  });

beforeAll(async () => {
  lab = await openApiLab();
  leader = await lab.node('node-1', { retention: { everyMs: 500, windowVersions: 5, protectedMs: 0 } });
  await lab.elect(leader);
  for (let i = 1; i <= VERSIONS; i++) await put('k', `value ${i}`, { 'idempotency-key': `write-${i}` });
  await request('PUT', configPath('o', 'other'), 'one', { 'content-type': 'text/plain' });
  await request('PUT', configPath('o', 'other'), 'two', { 'content-type': 'text/plain' });
  for (let i = 0; i < 6; i++) await put('later', `${i}`);
});
afterAll(() => lab.close());

async function heldBack(): Promise<string | undefined> {
  const metrics = (await request('GET', '/metrics')).body.toString();
  return /compaction_held_back\{[^}]*reason="([^"]*)"[^}]*\} 1/.exec(metrics)?.[1];
}

async function metric(name: string): Promise<number> {
  const metrics = (await request('GET', '/metrics')).body.toString();
  return Number(new RegExp(`compaction_${name}\\{[^}]*\\} (\\S+)`).exec(metrics)?.[1]);
}

const floor = () => lab.storage.store.log.floor();

async function seen(nodeId: string, version: number, hoursAgo = 0): Promise<void> {
  await lab.storage.admin.query(
    `insert into registry.nodes (node_id, kind, role, incarnation, status, status_seq, version, term, last_heartbeat_at,
       registered_at, metadata)
     values ($1, 'config-node', 'voter', 1, 'healthy', 1, $2, 1, clock_timestamp() - make_interval(hours => $3), now(), '{}')
     on conflict (node_id) do update set version = excluded.version, last_heartbeat_at = excluded.last_heartbeat_at`,
    [nodeId, version, hoursAgo],
  );
}

describe('the rules of retention', () => {
  it('are refused when they are not valid, with the field named', async () => {
    const refused = await rule({ namespaces: { app: { maxVersionsPerKey: 3 } } });
    expect(verdict(refused)).toEqual([422, 'invalid-value']);
    expect(bodyOf(refused).field).toBe('namespaces.app.maxVersionsPerKey');
    await until('all is kept', async () => (await heldBack()) === 'no-rules', 10_000);
  });

  it('remove nothing while nobody knows where the nodes stand', async () => {
    expect((await rule({ namespaces: { app: { maxVersionsPerKey: 10 } } })).status).toBe(201);
    await until('it is held back', async () => (await heldBack()) === 'positions-unreadable', 10_000);
    await migrate(lab.storage.pool({ role: 'holdfast_registry' }), 'registry', REGISTRY_MIGRATIONS);
    await until('it is held back', async () => (await heldBack()) === 'positions-stale', 10_000);
    await seen('node-1', 30, 1);
    await seen('node-9', 7, 1);
    expect(await floor()).toBe(1);
  });

  it('remove nothing that a node seen in the last day has not applied', async () => {
    await seen('node-1', leader.engine.host.replica.version);
    await until('it is held back', async () => (await heldBack()) === 'node-behind', 10_000);
    await until('what the node has goes', async () => (await floor()) === 8, 10_000);
  });

  it('count as soon as that node has been away for a day, while writes go on', async () => {
    let writing = true;
    const statuses = new Set<number>();
    const writer = (async () => {
      for (let i = 0; writing; i++) statuses.add((await put('busy', `${i}`)).status);
    })();
    await seen('node-9', 7, 25);
    await seen('node-1', leader.engine.host.replica.version);
    await until('the rest goes', async () => (await floor()) >= FLOOR, 10_000);
    writing = false;
    await writer;
    expect([...statuses].sort()).toEqual([200, 201]);
    expect((await rule({ namespaces: {} })).status).toBe(200);
    const toldMs = Date.now();
    expect(await metric('removed_operations_total')).toBeGreaterThanOrEqual(20);
    await until(
      'the walk has ended',
      async () => (await metric('finished_timestamp_seconds')) * 1_000 > toldMs,
      10_000,
    );
    await seen('node-1', leader.engine.host.replica.version);
  });
});

describe('history that was removed', () => {
  let gateway: RunningGateway;
  let from = 0;

  beforeAll(async () => {
    young = await lab.node('node-2');
    const head = leader.engine.host.replica.version;
    await until('the new node has loaded the state', () => young.engine.host.replica.version >= head, 10_000);
    gateway = await startGateway([young], { HOLDFAST_CLUSTER_KEY: CLUSTER_KEY });
    from = await floor();
  });
  afterAll(() => gateway.stop());

  const internal = (path: string) =>
    onYoung.request('GET', path, null, { [HEADERS.clusterKey]: CLUSTER_KEY });

  it('changes neither the state nor its digest', async () => {
    const { version } = leader.engine.host.replica;
    const digests = await Promise.all(
      [leader, young].map(async (node) => {
        const path = `/internal/digest?version=${version}&waitMs=1000`;
        return bodyOf(await requestsTo(() => node).request('GET', path, null, operator));
      }),
    );
    expect(digests[0].hash).toBe(digests[1].hash);
    expect(digests[0].chain).toBe(digests[1].chain);
    const { entriesScrub } = lab.storage.store;
    expect((await entriesScrub.slice({ namespace: '', key: '' }, 100, 1_000_000)).wrong).toEqual([]);
  });

  it('is compacted for whoever reads the changes from before the floor', async () => {
    const answer = await onYoung.request('GET', `/v1/changes?after=${from - 2}`);
    expect(verdict(answer)).toEqual([410, 'version-compacted']);
    expect(bodyOf(answer).floor).toBe(from);
    const changes = (await onYoung.json(`/v1/changes?after=${from - 1}&limit=1000`)).changes;
    expect(changes[0].version).toBe(from);
    const other = await onYoung.json('/v1/changes?after=0&namespace=other');
    expect(other.changes.map((change: { operations: unknown[] }) => change.operations.length)).toEqual([
      1, 1,
    ]);
    expect(verdict(await onYoung.request('GET', '/v1/changes?after=0&namespace=app'))[0]).toBe(410);
  });

  it('is compacted for nodes and gateways; above the floor the chain goes on', async () => {
    expect(verdict(await internal(`/internal/log?after=${from - 2}`))).toEqual([410, 'version-compacted']);
    const log = WireChange.array()
      .parse(bodyOf(await internal('/internal/log?after=0')))
      .map(changeFromWire);
    expect(log[0]?.version).toBe(from);
    for (const [i, change] of log.entries()) {
      const before = log[i - 1];
      if (before !== undefined) expect(chainAfter(before.chain, change)).toBe(change.chain);
    }
    const abort = new AbortController();
    const lines = await fetch(`${young.address}/internal/follow?after=3`, {
      headers: { [HEADERS.clusterKey]: CLUSTER_KEY },
      signal: abort.signal,
    });
    let text = '';
    for await (const chunk of lines.body ?? []) {
      text += Buffer.from(chunk).toString();
      if (text.includes('reset')) break;
    }
    abort.abort();
    expect(text).toContain('"reason":"compacted"');
  });

  it('is told of a version that is gone as gone, of one that is kept as it was', async () => {
    const at = (version: number, ns = 'app', key = 'k') =>
      onYoung.request('GET', `${configPath(key, ns)}?version=${version}`);
    const gone = await at(5);
    expect(verdict(gone)).toEqual([410, 'version-compacted']);
    expect(bodyOf(gone)).toMatchObject({ floor: FLOOR, namespace: 'app', key: 'k' });
    expect((await at(FLOOR - 1)).body.toString()).toBe(`value ${FLOOR - 1}`);
    expect((await at(VERSIONS)).body.toString()).toBe(`value ${VERSIONS}`);
    expect((await at(VERSIONS + 1, 'other', 'o')).body.toString()).toBe('one');
    expect(verdict(await at(VERSIONS, 'other', 'o'))).toEqual([404, 'version-not-found']);
  });

  it('has a page of history that ends, differences of what is kept, and no way back', async () => {
    const history = await onYoung.json('/v1/namespaces/app/history/k?limit=4');
    const rest = await onYoung.json(`/v1/namespaces/app/history/k?limit=100&cursor=${history.cursor}`);
    const versions = [...history.items, ...rest.items].map(({ version }: { version: number }) => version);
    expect(versions).toEqual(Array.from({ length: 10 }, (_, i) => VERSIONS - i));
    expect(rest.cursor).toBeUndefined();
    const diff = (query: string) => onYoung.request('GET', `/v1/namespaces/app/diff/k?${query}`);
    // The process that computes differences may get too little of a busy machine: 429, and the client asks again.
    for (const query of [`from=${VERSIONS - 1}&to=${VERSIONS}`, '']) {
      await expect.poll(async () => (await diff(query)).status).toBe(200);
    }
    for (const query of ['from=3&to=30', 'from=0&to=4', `to=${FLOOR - 1}`]) {
      expect(verdict(await diff(query)), query).toEqual([410, 'version-compacted']);
    }
  });

  it('resets whoever watches from before the floor, at a node and through a gateway', async () => {
    for (const base of [young.address, gateway.base]) {
      const below = await OpenWatch.open(base, '/v1/namespaces/app/watch?from=3');
      await below.until(2);
      expect(below.events.map(({ event }) => event)).toEqual(['bookmark', 'reset']);
      expect(below.events[1]?.json.reason).toBe('compacted');
      await below.close();
      const all = await OpenWatch.open(base, '/v1/namespaces/app/watch?from=0');
      await all.until(2);
      expect(all.names.slice(0, 2)).toEqual(['bookmark 0', `change ${from}`]);
      await all.close();
      const poll = await fetch(`${base}/v1/namespaces/app/watch?from=3&wait=1s`, {
        headers: { accept: 'application/json' },
      });
      expect(poll.status).toBe(410);
      expect(await poll.json()).toMatchObject({ code: 'version-compacted', reason: 'compacted' });
    }
  });

  it('does not make a write of lately happen twice', async () => {
    const before = leader.engine.host.replica.version;
    const again = await put('k', `value ${VERSIONS}`, { 'idempotency-key': `write-${VERSIONS}` });
    expect(bodyOf(again).version).toBe(VERSIONS);
    expect(leader.engine.host.replica.version).toBe(before);
  });

  it('cannot be rolled back to, and what is kept can', async () => {
    const back = (toVersion: number) => post('/v1/namespaces/app/rollback/k', { toVersion });
    await lab.elect(young);
    leader = young;
    expect(verdict(await back(5))).toEqual([410, 'version-compacted']);
    expect((await back(FLOOR)).status).toBe(200);
    expect((await request('GET', configPath('k'))).body.toString()).toBe(`value ${FLOOR}`);
  });
});
