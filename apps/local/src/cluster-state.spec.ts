import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadState } from './cluster-state.js';
import { PORT_OWNERS } from './domain/process-plan.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-state-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('keeps ports and secrets from start to start, for the owner only', async () => {
  const file = join(folder, 'state.json');
  const first = await loadState(file, 8080);
  expect(Object.keys(first.ports).sort()).toEqual([...PORT_OWNERS].sort());
  expect(new Set(Object.values(first.ports)).size).toBe(PORT_OWNERS.length);
  expect(await loadState(file, 8080)).toEqual(first);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

it('chooses anew only the port that somebody else has taken', async () => {
  const file = join(folder, 'state.json');
  const first = await loadState(file, 8080);
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(first.ports['node-2'], '127.0.0.1', resolve));
  try {
    const { ports } = await loadState(file, 8080);
    const changed = PORT_OWNERS.filter((owner) => ports[owner] !== first.ports[owner]);
    expect(changed).toEqual(['node-2']);
  } finally {
    await new Promise((resolve) => holder.close(resolve));
  }
});

it('gives a password to a role that an older release did not have, and keeps the others', async () => {
  const file = join(folder, 'state.json');
  const first = await loadState(file, 8080);
  const { health: _health, ...older } = first.databasePasswords;
  writeFileSync(file, JSON.stringify({ ...first, databasePasswords: older }));
  const { databasePasswords } = await loadState(file, 8080);
  expect(databasePasswords).toMatchObject(older);
  expect(databasePasswords.health.length).toBeGreaterThanOrEqual(16);
  expect((await loadState(file, 8080)).databasePasswords).toEqual(databasePasswords);
});

it('does not write over a state that it cannot read', async () => {
  const file = join(folder, 'state.json');
  writeFileSync(file, '{"format":2}');
  await expect(loadState(file, 8080)).rejects.toThrow(`${file} cannot be understood`);
  expect(readFileSync(file, 'utf8')).toBe('{"format":2}');
});
