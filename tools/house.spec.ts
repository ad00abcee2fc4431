import { readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';

/** More files side by side are not found by looking. */
const MAX_FILES = 14;
const DECLARATION =
  /^[ \t]*(?:export )?(?:declare )?(?:abstract )?(?:class|interface|enum|type(?= \w+(?:<[^=]*>)?\s*=)) (\w+)/gm;

const files = ['apps', 'libs']
  .flatMap((top) => readdirSync(top, { recursive: true, encoding: 'utf8' }).map((path) => `${top}/${path}`))
  .filter((path) => /\/src\/.*\.ts$/.test(path) && !/\.(spec|d)\.ts$|^libs\/testing\//.test(path));

describe('the house', () => {
  it('gives every type a name of its own', () => {
    const declared = new Map<string, string[]>();
    for (const file of files) {
      const names = new Set(
        [...readFileSync(file, 'utf8').matchAll(DECLARATION)].map(([, name = '']) => name),
      );
      for (const name of names) declared.set(name, [...(declared.get(name) ?? []), file]);
    }
    expect(declared.size).toBeGreaterThan(500);
    expect([...declared].filter(([, where]) => where.length > 1)).toEqual([]);
  });

  it(`keeps no more than ${MAX_FILES} files side by side`, () => {
    const folders = new Map<string, number>();
    for (const file of files) folders.set(dirname(file), (folders.get(dirname(file)) ?? 0) + 1);
    expect([...folders].filter(([, count]) => count > MAX_FILES)).toEqual([]);
  });
});
