import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');
const page = readFileSync(join(ROOT, 'docs/hardening.md'), 'utf8');
const specs = globSync('{apps,libs,test}/**/*.spec.ts', { cwd: ROOT })
  .map((file) => readFileSync(join(ROOT, file), 'utf8'))
  .join('\n');

/** The numbers in the first column of the table that begins with this head. */
function numbersOf(kind: 'finding' | 'report'): string[] {
  const table = page.slice(page.indexOf(`| ${kind} |`)).split('\n\n', 1)[0] ?? '';
  return table
    .split('\n')
    .slice(2)
    .flatMap((row) => (row.split('|')[1] ?? '').split(',').map((cell) => cell.trim()));
}

it.each(['finding', 'report'] as const)(
  'every %s of docs/hardening.md has a test whose title begins with it',
  (kind) => {
    const numbers = numbersOf(kind).filter((number) => number !== '');
    expect(numbers.length).toBeGreaterThan(12);
    const untested = numbers.filter((number) => !new RegExp(`['"\`]${kind} ${number}:`).test(specs));
    expect(untested).toEqual([]);
  },
);
