import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Operation } from '#libs/contracts';
import { type Rng, seededRng } from '#libs/kernel';
import { StatementRefused } from '#libs/postgres';
import type { BatchChange, Fence } from '../../../apps/config-node/src/domain/log.types.js';
import { ConfigStore } from '../../../apps/config-node/src/store/config.store.js';
import { ConfigTables } from '../../sim/database/config-tables.js';
import { ModelPool, modelAsPool } from '../../sim/database/model-pool.js';
import { batchOf, chainOf, fenceAt, type LeaderLab, openMigratedLab, put } from './storage-lab.js';

/*
 * The simulation stands on a model of the database. Here the model and the real SQL are given the same random
 * statements, one after the other, through the same ConfigStore, and must give the same answers and hold the same rows.
 */
const CASES = 10_000;
const COMPARE_STATE_EVERY = 250;
const SEED = 20_270_115;

let lab: LeaderLab;
beforeAll(async () => {
  // Nothing here depends on surviving a crash.
  lab = await openMigratedLab({ fsync: 'off', synchronous_commit: 'off' });
});
afterAll(() => lab.close());

it(`does what Postgres does, in ${CASES} cases`, { timeout: 120_000 }, async () => {
  const rng = seededRng(SEED);
  const head = await lab.store.readHead();
  const tables = new ConfigTables(head.clusterId);
  const pool = new ModelPool(tables);
  const sides = { lab, tables, pool, model: new ConfigStore(modelAsPool(pool)) };
  const seen = new Map<string, number>();
  const begunMs = performance.now();
  for (let number = 1; number <= CASES; number++) {
    const { name, run } = draw(rng, tables);
    const { real, model } = await run(sides);
    expect(model, `case ${number}: ${name}`).toEqual(real);
    const outcome = `${name}: ${kindOf(real)}`;
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    if (number % COMPARE_STATE_EVERY === 0) {
      expect(await wholeState(sides.model)).toEqual(await wholeState(lab.store));
    }
  }
  console.log(
    `model: ${CASES} cases in ${((performance.now() - begunMs) / 1_000).toFixed(1)} s`,
    Object.fromEntries([...seen].sort()),
  );
  // A run that never met one of these proves little.
  for (const outcome of [
    'commit: done',
    'commit: 23505',
    'commit elsewhere: fenced',
    'bump: done',
    'bump: nothing',
    'claim: done',
    'claim: nothing',
    'confirm: true',
    'confirm: false',
  ]) {
    expect(seen.get(outcome) ?? 0, outcome).toBeGreaterThan(20);
  }
});

interface Sides {
  lab: LeaderLab;
  tables: ConfigTables;
  pool: ModelPool;
  model: ConfigStore;
}

interface Case {
  name: string;
  run: (sides: Sides) => Promise<{ real: unknown; model: unknown }>;
}

const onBoth =
  (ask: (store: ConfigStore) => Promise<unknown>): Case['run'] =>
  async ({ lab: { store }, model }) => ({
    real: await outcomeOf(ask(store)),
    model: await outcomeOf(ask(model)),
  });

function draw(rng: Rng, tables: ConfigTables): Case {
  const version = tables.head.version;
  const { leaderId } = tables.head;
  const fence = fenceAt({ ...tables.head, leaderId: leaderId ?? 'n1' });
  switch (rng.int(13)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return commit('commit', fence, batch(rng, fence));
    case 4: {
      const elsewhere = wrong(rng, fence);
      return commit('commit elsewhere', elsewhere, batch(rng, elsewhere));
    }
    case 5: {
      const asked = rng.int(2) === 0 ? fence : wrong(rng, fence);
      return { name: 'confirm', run: onBoth((store) => store.confirmFence(asked)) };
    }
    case 6: {
      const asked = rng.int(3) > 0 ? fence : wrong(rng, fence);
      return { name: 'bump', run: onBoth(async (store) => (await store.bumpAttempt(asked)) ?? 'nothing') };
    }
    case 7:
      return claim(rng, tables);
    case 8: {
      const ids = Array.from({ length: 1 + rng.int(4) }, () => requestId(rng));
      const asked = async (store: ConfigStore) => [...(await store.lookUpRequests(ids))].sort();
      return { name: 'look up', run: onBoth(asked) };
    }
    case 9:
    case 10: {
      const from = Math.max(0, version - rng.int(30));
      const [limit, bytes] = [1 + rng.int(8), rng.int(2_000)];
      return { name: 'log', run: onBoth((store) => store.log.changesAfter(from, limit, bytes)) };
    }
    case 11: {
      const namespaces = ['app', 'zone', 'none'].slice(rng.int(2), 1 + rng.int(3));
      const after = Math.max(0, version - rng.int(30));
      const page = { after, limit: 1 + rng.int(8), maxBytes: rng.int(2_000) };
      return { name: 'namespaces', run: onBoth((store) => store.log.touching(namespaces, page)) };
    }
    default:
      return { name: 'barrier', run: onBoth((store) => store.barrier()) };
  }
}

/** The real one first: it tells what time it was. */
function commit(name: string, fence: Fence, changes: BatchChange[]): Case {
  return {
    name,
    run: async ({ lab: { store }, model, pool }) => {
      const real = await outcomeOf(store.commit(fence, changes));
      if (typeof real === 'object' && real !== null && 'createdAt' in real) {
        pool.nowMs = Date.parse(String(real.createdAt));
      }
      return { real, model: await outcomeOf(model.commit(fence, changes)) };
    },
  };
}

function claim(rng: Rng, tables: ConfigTables): Case {
  const { term, leaderId } = tables.head;
  const seenTerm = rng.int(4) === 0 ? term - 1 : term;
  const suspect = rng.int(4) === 0 ? 'n9' : leaderId;
  const winner = `n${1 + rng.int(3)}`;
  const [incarnation, highestTerm] = [1 + rng.int(5), term + rng.int(3) - 1];
  return {
    name: 'claim',
    run: async ({ lab: { admin }, tables: model }) => {
      const { rows } = await admin.query(
        'select term::int, version::int, chain from config.claim($1, $2, $3, $4, $5)',
        [seenTerm, suspect, winner, incarnation, highestTerm],
      );
      const won = model.claim({ seenTerm, suspect, winner, incarnation, highestTerm }) !== undefined;
      const { term: newTerm, version, chain } = model.head;
      return { real: rows[0] ?? 'nothing', model: won ? { term: newTerm, version, chain } : 'nothing' };
    },
  };
}

function wrong(rng: Rng, fence: Fence): Fence {
  const differs: Partial<Fence>[] = [
    { term: fence.term + 1 },
    { leaderId: 'n9' },
    { incarnation: fence.incarnation + 1 },
    { attempt: fence.attempt + 1 },
    { version: fence.version + 1 },
    { chain: chainOf(fence.version, 'other') },
  ];
  return { ...fence, ...differs[rng.int(differs.length)] };
}

function batch(rng: Rng, fence: Fence): BatchChange[] {
  const lostTo = fence.version + 1 + rng.int(3);
  if (rng.int(20) === 0) {
    const lost = { from: fence.version + 1, to: lostTo };
    const version = lostTo + 1;
    return batchOf(fence, [{ version, chain: chainOf(version, 'lost'), kind: 'lost', lost, operations: [] }]);
  }
  const changes = Array.from({ length: 1 + rng.int(4) }, () => ({
    operations: operations(rng),
    author: rng.int(2) === 0 ? null : `Zoë ${rng.int(100)}`,
    comment: rng.int(2) === 0 ? null : `"{${rng.int(100)},\\}`,
    chain: chainOf(rng.int(1_000_000)),
    ...(rng.int(3) === 0 ? { requestId: requestId(rng), requestHash: Buffer.from([rng.int(256)]) } : {}),
  }));
  return batchOf(fence, changes);
}

function operations(rng: Rng): Operation[] {
  const keys = new Set(Array.from({ length: 1 + rng.int(3) }, () => `k${rng.int(6)}`));
  return [...keys].map((key) => {
    const namespace = rng.int(3) === 0 ? 'zone' : 'app';
    if (rng.int(3) === 0) return { op: 'delete', namespace, key };
    return put(key, Buffer.alloc(rng.int(300), rng.int(256)), namespace);
  });
}

/** Few enough that they are used again. */
function requestId(rng: Rng): string {
  return `r${rng.int(3_000)}`;
}

async function wholeState(store: ConfigStore): Promise<unknown> {
  return store.loadState(async (head, pages) => {
    const entries = [];
    for await (const page of pages) entries.push(...page);
    return { head, entries };
  });
}

/** Results and refusals alike; what kind of refusal is what counts. */
async function outcomeOf(asked: Promise<unknown>): Promise<unknown> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof StatementRefused) return error.sqlState;
    throw error;
  }
}

function kindOf(outcome: unknown): string {
  return typeof outcome === 'object' ? 'done' : String(outcome);
}
