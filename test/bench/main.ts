import { benchBalance } from './balance.js';
import { benchCompaction } from './compaction.js';
import { benchConsistency } from './consistency.js';
import { benchDetect } from './detect.js';
import { benchDigest } from './digest.js';
import { benchFailover } from './failover.js';
import { benchIdle } from './idle.js';
import { benchKeys } from './keys.js';
import type { BenchOptions } from './options.js';
import { benchProbing } from './probing.js';
import { benchPublish } from './publish.js';
import { benchRead } from './read.js';
import { printMachine } from './report.js';
import { benchSync } from './sync.js';
import { benchWatch } from './watch.js';

const BENCHES: Record<string, (options: BenchOptions) => Promise<void>> = {
  failover: benchFailover,
  publish: benchPublish,
  read: benchRead,
  watch: benchWatch,
  idle: benchIdle,
  keys: benchKeys,
  balance: benchBalance,
  detect: benchDetect,
  digest: benchDigest,
  probing: benchProbing,
  consistency: benchConsistency,
  sync: benchSync,
  compaction: benchCompaction,
};

const names = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const quick = process.argv.includes('--quick');
const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name));
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(' ')}`);
  console.error(`usage: npm run bench -- [${Object.keys(BENCHES).join('|')}] [--quick] [--million]`);
  process.exitCode = 2;
} else {
  printMachine(quick);
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (names.length === 0 || names.includes(name)) await bench({ quick });
  }
}
