import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const FOLDERS = ['apps', 'libs'].flatMap((top) => readdirSync(top).map((name) => `${top}/${name}`));
const PAGES = [
  'README.md',
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' }).map((name) => `docs/${name}`),
  ...FOLDERS.map((folder) => `${folder}/README.md`),
].filter((path) => path.endsWith('.md'));

/** Paths from the project's root in backticks, and links to files. */
function mentioned(page: string): string[] {
  const text = readFileSync(page, 'utf8');
  const paths = [...text.matchAll(/`((?:apps|libs|test|docs|deploy|tools)\/[\w./-]+)`/g)].map(
    ([, path = '']) => path,
  );
  const links = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(([, link = '']) =>
    join(dirname(page), link),
  );
  return [...paths, ...links];
}

describe('the documents', () => {
  it.each(FOLDERS)('%s has a README of at most 15 lines', (folder) => {
    expect(readFileSync(`${folder}/README.md`, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(15);
  });

  it.each(PAGES)('%s names only files that exist', (page) => {
    expect(mentioned(page).filter((path) => !existsSync(path))).toEqual([]);
  });
});
