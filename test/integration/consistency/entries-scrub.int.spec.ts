import { afterEach, describe, expect, it } from 'vitest';
import { checksumOf } from '#libs/replica';
import type { EntryVerdict } from '../../../apps/config-node/src/domain/entry-repair.js';
import { type LabNode, put, until, write } from '../engine/engine-lab.js';
import { ConsistencyLab, misapply } from './consistency-lab.js';

let lab: ConsistencyLab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

async function open(keys: number): Promise<ConsistencyLab> {
  lab = await ConsistencyLab.open(keys);
  return lab;
}

const admin = ({ engines }: ConsistencyLab) => engines.storage.admin;
const findings = async (lab: ConsistencyLab) => {
  const { rows } = await admin(lab).query<{ key: string; class: string; repaired: boolean }>(
    'select key, class, repaired from config.entry_findings order by key',
  );
  return rows.map(({ key, class: kind, repaired }) => `${key} ${kind} ${repaired}`);
};
const entries = async (lab: ConsistencyLab) => {
  const { rows } = await admin(lab).query<{ key: string; value: string }>(
    `select key, convert_from(value, 'UTF8') as value from config.entries order by key`,
  );
  return rows.map(({ key, value }) => `${key}=${value}`);
};

const keysOf = (node: LabNode) => node.replica.namespaces().find(({ name }) => name === 'app')?.keys;

/** How many keys of the database the node has compared with the log since it started. */
const looked = async ({ address }: LabNode) => {
  const metrics = await (await fetch(`${address}/metrics`)).text();
  return Number(/^holdfast_entries_scrubbed_total\{.*\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
};

const judge = (verdict: EntryVerdict) => (differing: readonly unknown[]) => differing.map(() => verdict);

describe('the state in the database', () => {
  it('is set right by the leader from the log, and told by the consistency service', async () => {
    const lab = await open(6);
    const right = await entries(lab);
    await lab.leader.engine.publisher.submit(write([put('gone', 'gone')]));
    await lab.leader.engine.publisher.submit(write([{ op: 'delete', namespace: 'app', key: 'gone' }]));
    await admin(lab).query(`
      update config.entries set value = 'x', checksum = sha256('x') where key = 'k0';
      update config.entries set value = 'bytes alone' where key = 'k1';
      delete from config.entries where key = 'k2';
      update config.entries set version = version + 1 where key = 'k3';
      insert into config.entries select namespace, 'never', value, content_type, checksum, version, created_at
        from config.entries where key = 'k4';
      insert into config.entries select namespace, 'gone', value, content_type, checksum, version, created_at
        from config.entries where key = 'k4';
    `);
    await lab.engines.elect(lab.leader); // a term begins with a walk
    await until(async () => (await findings(lab)).length === 6, 'all are found');
    expect(await findings(lab)).toEqual([
      ...['gone extra true', 'k0 mismatch true', 'k1 mismatch true', 'k2 missing true'],
      ...['k3 mismatch true', 'never extra true'],
    ]);
    expect(await entries(lab)).toEqual(right);

    await lab.start('c-1');
    await until(async () => (await lab.report()).repairs.length === 6, 'the service wrote it down');
    const k0 = (await lab.report()).repairs.find(({ difference }) => difference?.key === 'k0');
    expect(k0).toMatchObject({ place: 'config.entries', outcome: 'repaired', observer: 'node-1' });
    expect(k0?.difference?.found?.checksum).toBe(checksumOf(Buffer.from('x')));
    await until(() => lab.repaired.length === 6, 'it is told');
    await until(() => lab.alerts.some(({ name }) => name === 'consistency.entries'), 'an alert');
  });

  it('is found right while it is written to, and no write waits for it', async () => {
    const lab = await open(50);
    const { leader, engines } = lab;
    for (let walk = 0; walk < 3; walk++) {
      await engines.elect(leader); // a term begins with a walk
      const { term } = await engines.storage.store.readHead();
      const { leadership, publisher } = leader.engine;
      await until(() => leadership.termOfRole === term && publisher.isLeading, 'it leads the new term');
      const before = await looked(leader);
      for (let round = 0; (await looked(leader)) < before + 50; round++) {
        await lab.publish(10, `walk ${walk}, round ${round}`);
      }
    }
    expect(await findings(lab)).toEqual([]);
  });

  it('is left alone by whoever does not lead, and where nothing proves what is right', async () => {
    const lab = await open(3);
    const { store } = lab.engines.storage;
    const keys = [{ namespace: 'app', key: 'k0' }];
    await admin(lab).query(`update config.entries set value = 'x' where key = 'k0'`);
    const other = { term: 99, leaderId: 'node-1', incarnation: 1 };
    expect(await store.entriesScrub.setRight(other, keys, judge('scrub'))).toBe('fenced');
    const { term, leaderId, incarnation } = await store.readHead();
    const leader = { term, leaderId: leaderId ?? '', incarnation };
    expect(await store.entriesScrub.setRight(leader, keys, judge('too-many'))).toMatchObject([
      { class: 'mismatch', repaired: false },
    ]);
    // As a compacted log would be: nothing is known of k1 but its row.
    await admin(lab).query(`
      delete from config.change_ops where key in ('k0', 'k1');
      delete from config.changes where version = (select min(version) from config.changes);
      update config.entries set value = 'y' where key = 'k1';
    `);
    const seen = await store.entriesScrub.setRight(leader, [{ namespace: 'app', key: 'k1' }], judge('scrub'));
    expect(seen).toMatchObject([{ class: 'mismatch', repaired: false, expected: null }]);
  });

  it('finding 7: is not deleted because operations of the log are lost, nor is anything in the nodes', async () => {
    const lab = await open(450);
    const { leader, engines } = lab;
    await admin(lab).query('delete from config.change_ops');
    // Each new term begins with a walk.
    for (let term = 0; term < 2; term++) {
      const walked = lab.alerts.filter(({ name }) => name === 'log.damaged').length;
      await engines.elect(leader);
      await until(
        () => lab.alerts.filter(({ name }) => name === 'log.damaged').length > walked,
        'it is told',
      );
    }
    await until(async () => (await findings(lab)).length === 450, 'all are written down');
    expect(new Set((await findings(lab)).map((finding) => finding.replace(/k\d+ /, '')))).toEqual(
      new Set(['extra false']),
    );
    expect((await entries(lab)).length).toBe(450);

    const newcomer = await engines.node('node-2', { dataDir: `${leader.dataDir}-new` });
    lab.nodes.push(newcomer);
    await lab.level();
    expect(keysOf(newcomer)).toBe(450);
    misapply(newcomer, 'k7', 'wrong');
    await lab.start('c-1');
    const { nodes, repairs } = await lab.check(true);
    expect(repairs).toEqual([]);
    expect(nodes.map(({ result }) => result)).not.toContain('mismatch');
    expect([keysOf(leader), keysOf(newcomer), (await entries(lab)).length]).toEqual([450, 450, 450]);
    await leader.engine.publisher.submit(write([put('after', 'after')]));
    await lab.level();
  });

  it('is walked through in slices that leave out nothing, however many operations a key has', async () => {
    const lab = await open(40);
    for (let i = 0; i < 5; i++) await lab.publish(3, `again ${i}`);
    await admin(lab).query(`delete from config.entries where key in ('k0', 'k17', 'k39')`);
    const { entriesScrub } = lab.engines.storage.store;
    const wrong: string[] = [];
    let looked = 0;
    for (let after: { namespace: string; key: string } | undefined = { namespace: '', key: '' }; after; ) {
      const slice = await entriesScrub.slice(after, 7, 1_000);
      wrong.push(...slice.wrong.map(({ key }) => key));
      looked += slice.looked;
      after = slice.last;
    }
    expect(wrong).toEqual(['k0', 'k17', 'k39']);
    expect(looked).toBe(40);
  });
});
