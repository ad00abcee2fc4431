import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { keepConfig } from './kept-config.js';

it('report 2: a configuration that is there already needs no room on the disk, and no other is cut', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-config-'));
  const file = join(folder, 'nats.conf');
  writeFileSync(file, 'old', { mode: 0o644 });
  symlinkSync('/dev/full', `${file}.new`);
  await keepConfig(file, 'old');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  await expect(keepConfig(file, 'new')).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(readFileSync(file, 'utf8')).toBe('old');
  rmSync(`${file}.new`);
  await keepConfig(file, 'new');
  expect(readFileSync(file, 'utf8')).toBe('new');
  rmSync(folder, { recursive: true });
});
