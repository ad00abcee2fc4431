import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const GATE = resolve('tools/boundaries.mjs');
const SOUND: Record<string, string> = {
  'package.json': JSON.stringify({
    type: 'module',
    imports: { '#libs/*': { source: './libs/*/src/index.ts', default: './libs/*/src/index.ts' } },
  }),
  'tsconfig.json': JSON.stringify({ compilerOptions: { module: 'nodenext', target: 'es2024' } }),
  'libs/kernel/src/index.ts': "export { one } from './one.js';\n",
  'libs/kernel/src/one.ts': 'export const one = 1;\n',
  'apps/a/src/main.ts':
    "import { one } from '#libs/kernel';\nimport { decide } from './domain/decide.js';\ndecide(one);\n",
  'apps/a/src/domain/decide.ts':
    "import { one } from '#libs/kernel';\n// never Date.now() here\nexport const decide = (n: number) => n + one;\n",
  'apps/b/src/main.ts': "export const b = 'b';\n",
};

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'boundaries-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function gate(files: Record<string, string>): { status: number | null; output: string } {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  symlinkSync(resolve('node_modules'), join(root, 'node_modules'));
  const run = spawnSync(process.execPath, [GATE, root], { encoding: 'utf8' });
  return { status: run.status, output: run.stdout + run.stderr };
}

describe('the boundary gate', () => {
  it('passes a sound tree', () => {
    const { status, output } = gate(SOUND);
    expect(output).toContain('no violations');
    expect(status).toBe(0);
  });

  it.each([
    ['app-to-app', { 'apps/a/src/main.ts': "import { b } from '../../b/src/main.js';\nconsole.log(b);\n" }],
    [
      'deep-lib-import',
      { 'apps/a/src/main.ts': "import { one } from '../../../libs/kernel/src/one.js';\nconsole.log(one);\n" },
    ],
    [
      'cycle',
      {
        'libs/kernel/src/one.ts':
          "import { one as same } from './index.js';\nexport const one: number = same;\n",
      },
    ],
    ['lib-to-app', { 'libs/kernel/src/one.ts': "export { b as one } from '../../../apps/b/src/main.js';\n" }],
    [
      'impure-domain: ',
      { 'apps/a/src/domain/decide.ts': 'export const decide = (n: number) => n + Date.now();\n' },
    ],
    [
      'impure-domain: ',
      { 'apps/a/src/domain/decide.ts': 'export const decide = (n: number) => setTimeout(() => n, 1);\n' },
    ],
    [
      'impure-domain-import',
      {
        'apps/a/src/domain/decide.ts':
          "import pg from 'pg';\nexport const decide = (n: number) => pg.types && n;\n",
      },
    ],
    [
      'io-in-domain',
      {
        'apps/a/src/domain/decide.ts':
          "import { readFileSync } from 'node:fs';\nexport const decide = (n: number) => readFileSync(String(n));\n",
      },
    ],
    [
      'lib-direction',
      {
        'libs/contracts/src/index.ts': "import { one } from '#libs/kernel';\nexport const two = one + one;\n",
      },
    ],
    ['unlisted-lib', { 'libs/misc/src/index.ts': 'export const misc = 1;\n' }],
    [
      'room-order',
      {
        'apps/gateway/src/proxy/proxy.ts': 'export const proxy = 1;\n',
        'apps/gateway/src/nodes/nodes.ts':
          "import { proxy } from '../proxy/proxy.js';\nexport const nodes = proxy;\n",
      },
    ],
    [
      'room-wall',
      {
        'apps/config-node/src/store/store.ts': 'export interface Store {\n  rows: number;\n}\n',
        'apps/config-node/src/http/route.ts':
          "import type { Store } from '../store/store.js';\nexport const rows = (store: Store) => store.rows;\n",
      },
    ],
    ['unlisted-room', { 'apps/gateway/src/misc/misc.ts': 'export const misc = 1;\n' }],
    [
      'impure-domain: ',
      { 'libs/replica/src/index.ts': 'export const age = (atMs: number) => Date.now() - atMs;\n' },
    ],
    [
      'io-in-domain',
      {
        'libs/balancer/src/index.ts':
          "import { readFileSync } from 'node:fs';\nexport const weights = () => readFileSync('weights');\n",
      },
    ],
    [
      'unresolvable',
      { 'apps/a/src/main.ts': "import { nothing } from './nowhere.js';\nconsole.log(nothing);\n" },
    ],
  ])('catches %s', (name, planted) => {
    const { status, output } = gate({ ...SOUND, ...planted });
    expect(output).toContain(name);
    expect(status).toBe(1);
  });

  it('fails when it looked at nothing', () => {
    const { status, output } = gate({ 'package.json': '{"type":"module"}', 'apps/readme.txt': '' });
    expect(output).toContain('no-modules');
    expect(status).toBe(1);
  });
});
