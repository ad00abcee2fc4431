import { chmodSync, existsSync, mkdirSync, readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { StartRefused } from '../start-refused.js';

/** A new database takes about 70 MB, its log up to 512 MB while it works. */
const NEEDED_BYTES = 256 * 1024 * 1024;

export interface HomeFolder {
  root: string;
  runFolder: string;
  log: string;
  state: string;
  postgres: string;
  nats: string;
  /** Passwords for people and programs outside of the cluster. */
  secrets: string;
  redis: string;
}

const OWN_ENTRIES = ['run', 'log', 'state.json', 'lost+found'];

/** A folder that holds something else would be closed to everybody else: `HOLDFAST_HOME=/tmp` is a slip. */
function refuseForeignFolder(root: string): void {
  if (!existsSync(root)) return;
  const entries = readdirSync(root);
  if (entries.length === 0 || entries.some((entry) => OWN_ENTRIES.includes(entry))) return;
  throw new StartRefused(
    `${root} holds other files (${entries[0]} …) and no cluster: choose a folder of its own for HOLDFAST_HOME`,
  );
}

/** Makes the data folder, for its owner only. */
export function prepareHome(root: string): HomeFolder {
  const home: HomeFolder = {
    root,
    runFolder: join(root, 'run'),
    log: join(root, 'log'),
    state: join(root, 'state.json'),
    postgres: join(root, 'postgres'),
    nats: join(root, 'nats'),
    secrets: join(root, 'secrets'),
    redis: join(root, 'redis'),
  };
  refuseForeignFolder(root);
  for (const folder of [root, home.runFolder, home.log, home.secrets]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }
  const own = process.getuid?.();
  const { uid } = statSync(root);
  if (own !== undefined && own !== 0 && uid !== own) {
    throw new StartRefused(`the data folder ${root} belongs to another user (uid ${uid}, not ${own})`);
  }
  chmodSync(root, 0o700);
  const { bavail, bsize } = statfsSync(root);
  const free = bavail * bsize;
  if (free < NEEDED_BYTES) {
    throw new StartRefused(
      `the disk of ${root} is full: ${Math.floor(free / 1024 ** 2)} MB are free, ${NEEDED_BYTES / 1024 ** 2} MB are needed.\n` +
        'Make room, or choose another disk: HOLDFAST_HOME=/path/to/folder npm start',
    );
  }
  return home;
}
