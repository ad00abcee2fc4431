import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SERVICE_ROLES, type ServiceRole } from '#libs/postgres';
import { type LeaderLab, openMigratedLab } from './storage-lab.js';

let lab: LeaderLab;

beforeAll(async () => {
  lab = await openMigratedLab();
});
afterAll(() => lab.close());

const INSUFFICIENT_PRIVILEGE = '42501';

/** One for each role: the server has room for a few dozen. */
const clients = new Map<ServiceRole, Client>();

async function allowed(role: ServiceRole, text: string): Promise<boolean> {
  const client = clients.get(role) ?? (await lab.client(role));
  clients.set(role, client);
  try {
    await client.query(`begin; ${text}; rollback`);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: INSUFFICIENT_PRIVILEGE });
    return false;
  } finally {
    await client.query('rollback');
  }
}

const services = Object.keys(SERVICE_ROLES) as ServiceRole[];
const others = services.filter((role) => role !== 'holdfast_node');

describe('the rights of the services', () => {
  it('bootstrap and migrations may run again', async () => {
    await lab.bootstrap();
    await lab.store.migrate();
    expect((await lab.store.readHead()).version).toBe(0);
  });

  it.each(services)('%s owns its schema and cannot make things elsewhere', async (role) => {
    for (const schema of Object.values(SERVICE_ROLES)) {
      expect(await allowed(role, `create table ${schema}.mine (n int)`)).toBe(SERVICE_ROLES[role] === schema);
    }
    expect(await allowed(role, 'create table public.mine (n int)')).toBe(false);
    expect(await allowed(role, 'create role friend')).toBe(false);
  });

  it.each(others)('%s cannot write the configuration', async (role) => {
    for (const text of [
      'update config.head set version = version + 1',
      "insert into config.changes (version, term, chain, kind, bytes, created_at) values (1, 1, '', 'change', 0, now())",
      'delete from config.change_ops',
      'delete from config.entries',
      'update config.read_fence set n = 0',
      'truncate config.changes',
    ]) {
      expect(await allowed(role, text)).toBe(false);
    }
  });

  it('only failover may claim, sync, failover and consistency read the log, and health nothing of it', async () => {
    const claim = "select config.claim(0, null, 'node-1', 1, 0)";
    const readers = ['holdfast_failover', 'holdfast_sync', 'holdfast_consistency'];
    for (const role of others) {
      expect(await allowed(role, claim)).toBe(role === 'holdfast_failover');
      for (const table of ['changes', 'change_ops', 'entries']) {
        expect(await allowed(role, `select from config.${table}`)).toBe(readers.includes(role));
      }
      expect(await allowed(role, 'select from config.head')).toBe(role !== 'holdfast_health');
    }
  });

  it('failover may end the backend of a deposed leader', async () => {
    const leader = await lab.client('holdfast_node');
    const ended = new Promise((resolve) => leader.once('end', resolve));
    const { rows } = await leader.query('select pg_backend_pid() as pid');
    const failover = await lab.client('holdfast_failover');
    await failover.query('select pg_terminate_backend($1)', [rows[0].pid]);
    await ended;
  });
});
