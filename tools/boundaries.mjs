// The gate of the architecture: who may import whom, and nothing impure in domain/. Usage: node tools/boundaries.mjs [root]
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { cruise } from 'dependency-cruiser';
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config';

const root = resolve(process.argv[2] ?? '.');
process.chdir(root);

const SPEC = '\\.spec\\.ts$';
const PURE_LIBS = '^libs/(kernel|contracts|replica|balancer|watch)/';

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
  {
    name: 'leaf-lib-imports-lib',
    severity: 'error',
    from: { path: '^libs/(kernel|contracts)/' },
    to: { path: '^libs/', pathNot: '^libs/$1/' },
  },
  {
    name: 'adapter-lib-reaches-too-far',
    severity: 'error',
    from: { path: '^libs/(messaging|postgres|redis|observability|cluster-auth)/', pathNot: SPEC },
    to: {
      path: '^libs/',
      pathNot: '^libs/($1|kernel|contracts|config|observability)/',
    },
  },
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
    from: { path: '/domain/', pathNot: SPEC },
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
  .filter((path) => /\/domain\/.*(?<!\.spec)\.ts$/.test(path));
for (const path of domainFiles) {
  const code = readFileSync(path, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, (comment) =>
    comment.replace(/[^\n]/g, ' '),
  );
  code.split('\n').forEach((line, index) => {
    const hit = IMPURE.exec(line)?.[0];
    if (hit) faults.push(`impure-domain: ${path}:${index + 1} uses ${hit}`);
  });
}

if (ours.length === 0) faults.push('no-modules: the gate looked at nothing, which proves nothing');
for (const fault of [...new Set(faults)].sort()) console.error(`  ${fault}`);
if (faults.length > 0) {
  console.error(`boundaries: ${faults.length} violations in ${ours.length} modules`);
  process.exit(1);
}
console.log(`boundaries: ${ours.length} modules, ${domainFiles.length} of them pure, no violations`);
