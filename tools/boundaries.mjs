// The gate of the architecture: who may import whom, and nothing impure in domain/. Usage: node tools/boundaries.mjs [root]
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { cruise } from 'dependency-cruiser';
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config';

const root = resolve(process.argv[2] ?? '.');
process.chdir(root);

const SPEC = '\\.spec\\.ts$';
/** What a domain may import of libs. Clocks, timers and dice come from outside, through interfaces of the kernel. */
const PURE_LIBS = '^libs/(kernel|contracts|replica|balancer|watch/src/(domain|index\\.ts))';
/** These decide or describe, and do nothing by themselves: the rules for domain/ hold for all of their files. */
const WITHOUT_IO = ['contracts', 'replica', 'balancer'];

/** Lib -> the libs that it may import. */
const LIBS = {
  kernel: [],
  contracts: [],
  settings: ['contracts'],
  replica: ['kernel', 'contracts'],
  balancer: ['kernel', 'contracts'],
  'cluster-auth': ['kernel', 'contracts'],
  observability: ['kernel', 'contracts', 'settings'],
  messaging: ['kernel', 'contracts', 'settings', 'observability'],
  postgres: ['kernel', 'contracts', 'settings', 'observability'],
  redis: ['kernel', 'contracts', 'settings', 'observability'],
  'embedded-servers': ['kernel', 'contracts'],
  service: ['kernel', 'contracts', 'settings', 'observability', 'cluster-auth'],
  watch: ['kernel', 'contracts', 'service'],
  'control-service': ['kernel', 'contracts', 'settings', 'observability', 'messaging', 'postgres', 'service'],
};

/** The rooms (folders below src/) of an app from top to bottom: a room may import those after it, never one before it. */
const ROOMS = {
  'config-node': [
    'http',
    'internal-api',
    'membership',
    'retention',
    'integrity',
    'replication',
    'state-transfer',
    'leadership',
    'commit',
    'announce',
    'history',
    'peers',
    'replica',
    'store',
    'domain',
  ],
  failover: ['recovery', 'detection', 'election', 'nodes', 'head', 'drivers', 'domain'],
  gateway: ['docs', 'events', 'cluster', 'proxy', 'watch', 'nodes', 'domain'],
  consistency: ['rounds', 'reference', 'domain'],
  local: ['supervision', 'files', 'domain'],
};

/** What a room may not import although it lies below: requests reach the database through `history` and `commit` alone. */
const WALLS = [{ app: 'config-node', from: '(http|internal-api)', to: 'store' }];

/** @returns {import('dependency-cruiser').IForbiddenRuleType[]} */
function libRules() {
  return Object.entries(LIBS).map(([lib, allowed]) => ({
    name: 'lib-direction',
    severity: 'error',
    from: { path: `^libs/${lib}/`, pathNot: SPEC },
    to: { path: '^libs/', pathNot: `^libs/(${[lib, ...allowed].join('|')})/` },
  }));
}

/** @returns {import('dependency-cruiser').IForbiddenRuleType[]} */
function roomRules() {
  const orders = Object.entries(ROOMS).flatMap(([app, rooms]) =>
    rooms.slice(1).map((room, index) => ({
      name: 'room-order',
      severity: /** @type {const} */ ('error'),
      from: { path: `^apps/${app}/src/${room}/`, pathNot: SPEC },
      to: { path: `^apps/${app}/src/(${rooms.slice(0, index + 1).join('|')})/` },
    })),
  );
  const walls = WALLS.map(({ app, from, to }) => ({
    name: 'room-wall',
    severity: /** @type {const} */ ('error'),
    from: { path: `^apps/${app}/src/${from}/`, pathNot: SPEC },
    to: { path: `^apps/${app}/src/${to}/` },
  }));
  return [...orders, ...walls];
}

/** @type {import('dependency-cruiser').IForbiddenRuleType[]} */
const forbidden = [
  { name: 'cycle', severity: 'error', from: {}, to: { circular: true } },
  {
    name: 'unresolvable',
    severity: 'error',
    from: {},
    to: { couldNotResolve: true, pathNot: '^(bun|node):' },
  },
  {
    name: 'app-to-app',
    severity: 'error',
    from: { path: '^apps/([^/]+)/' },
    to: { path: '^apps/', pathNot: '^apps/$1/' },
  },
  {
    name: 'lib-to-app',
    severity: 'error',
    from: { path: '^libs/', pathNot: '^libs/testing/' },
    to: { path: '^apps/' },
  },
  {
    name: 'deep-lib-import',
    severity: 'error',
    from: { path: '^(apps|libs|test)/([^/]+)/' },
    to: { path: '^libs/', pathNot: ['^libs/[^/]+/src/index\\.ts$', '^$1/$2/'] },
  },
  ...libRules(),
  ...roomRules(),
  {
    name: 'testing-in-production',
    severity: 'error',
    from: { pathNot: `^(test|libs/testing)/|${SPEC}` },
    to: { path: '^libs/testing/' },
  },
  {
    name: 'impure-domain-import',
    severity: 'error',
    from: { path: '/domain/', pathNot: SPEC },
    to: { pathNot: `/domain/|${PURE_LIBS}|^node_modules/(zod|lru-cache)/`, dependencyTypesNot: ['core'] },
  },
  {
    name: 'io-in-domain',
    severity: 'error',
    from: { path: `/domain/|^libs/(${WITHOUT_IO.join('|')})/`, pathNot: SPEC },
    to: { dependencyTypes: ['core'], pathNot: '^(node:)?(buffer|crypto|util)$' },
  },
];

const folders = ['apps', 'libs', 'test'].filter((folder) => existsSync(join(root, folder)));
const tsConfig = existsSync('tsconfig.json') ? extractTSConfig('tsconfig.json') : undefined;
const { output } = await cruise(
  folders,
  {
    ruleSet: { forbidden },
    validate: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|fixtures)/' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      conditionNames: ['source', 'import', 'node', 'default'],
      exportsFields: ['exports'],
      extensions: ['.ts', '.js', '.mjs', '.json'],
      mainFields: ['module', 'main', 'types'],
    },
  },
  {},
  { tsConfig },
);

const ours = output.modules.filter((module) => /^(apps|libs|test)\//.test(module.source));
const faults = output.summary.violations.map(
  (violation) => `${violation.rule.name}: ${violation.from} -> ${violation.to}`,
);

// A decision that reads a clock, rolls dice or waits by itself can't be simulated.
const IMPURE =
  /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\b|\bset(Timeout|Interval|Immediate)\b|\bMath\.random\b|\bprocess\.|\brandomUUID\b|\brandomBytes\b/;
const domainFiles = ours
  .map((module) => module.source)
  .filter((path) => /\.ts$/.test(path) && !/\.spec\.ts$/.test(path))
  .filter(
    (path) => path.includes('/domain/') || WITHOUT_IO.includes(/^libs\/([^/]+)\//.exec(path)?.[1] ?? ''),
  );
for (const path of domainFiles) {
  const code = readFileSync(path, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, (comment) =>
    comment.replace(/[^\n]/g, ' '),
  );
  code.split('\n').forEach((line, index) => {
    const hit = IMPURE.exec(line)?.[0];
    if (hit) faults.push(`impure-domain: ${path}:${index + 1} uses ${hit}`);
  });
}

// A new lib or room is in no rule until somebody says where it stands.
const foldersBy = (pattern) => new Set(ours.flatMap(({ source }) => pattern.exec(source)?.[1] ?? []));
for (const lib of foldersBy(/^libs\/([^/]+)\//)) {
  if (lib !== 'testing' && !Object.hasOwn(LIBS, lib))
    faults.push(`unlisted-lib: libs/${lib} has no row in LIBS`);
}
for (const [app, rooms] of Object.entries(ROOMS)) {
  for (const room of foldersBy(new RegExp(`^apps/${app}/src/([^/]+)/`))) {
    if (room !== 'migrations' && !rooms.includes(room))
      faults.push(`unlisted-room: apps/${app}/src/${room} has no place in ROOMS`);
  }
}

if (ours.length === 0) faults.push('no-modules: the gate looked at nothing, which proves nothing');
for (const fault of [...new Set(faults)].sort()) console.error(`  ${fault}`);
if (faults.length > 0) {
  console.error(`boundaries: ${faults.length} violations in ${ours.length} modules`);
  process.exit(1);
}
console.log(`boundaries: ${ours.length} modules, ${domainFiles.length} of them pure, no violations`);
