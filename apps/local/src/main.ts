import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensurePrograms, ProgramMissing, ServerFailed } from '#libs/embedded-servers';
import { loadSettings, SettingsError } from '#libs/settings';
import { loadState } from './cluster-state.js';
import { PLANNED_APPS } from './domain/process-plan.js';
import { inheritedVariables, splitVariables } from './domain/settings-passed-on.js';
import { prepareHome } from './files/home-folder.js';
import { lockHome } from './files/home-lock.js';
import { LogFile } from './files/log-file.js';
import { RunFolder } from './files/run-folder.js';
import { LocalCluster } from './local-cluster.js';
import { onFolder, StartRefused } from './start-refused.js';
import { Children } from './supervision/children.js';
import { leaderIdOf } from './supervision/gateway-probe.js';
import { openGatewaySocket } from './supervision/gateway-socket.js';
import { stopOnSignals } from './supervision/stop-on-signals.js';
import { banner, duration, Terminal } from './terminal.js';

/** dist/apps, whether this file is found from a checkout or from elsewhere. */
const APPS = fileURLToPath(new URL('../../', import.meta.url));
const programOf = (app: string) => join(APPS, app, 'src', 'main.js');

async function main(): Promise<void> {
  const begunMs = performance.now();
  refuseUnsuitableMachine();
  const settings = loadSettings(['home', 'port', 'bind', 'noInstall', 'subjectPrefix'], { port: 8080 });
  if (settings.port === 0)
    throw new StartRefused('HOLDFAST_PORT must be a port that clients can know, not 0.');
  const missing = PLANNED_APPS.filter((app) => !existsSync(programOf(app)));
  if (missing.length > 0) {
    throw new StartRefused(`not built: ${missing.join(', ')}. Run npm run build (npm start does so itself).`);
  }

  const root = resolve(settings.home);
  const home = await onFolder(root, () => prepareHome(root));
  await onFolder(root, () => lockHome(home.runFolder));
  const terminal = new Terminal(process.stdout, new LogFile(join(home.log, 'local.log')));
  const { passedOn, ignored } = splitVariables(process.env);
  if (ignored.length > 0) terminal.warn(`a local cluster decides itself on ${ignored.join(', ')}: ignored`);
  const runFolder = new RunFolder(home.runFolder, (message) => terminal.warn(message));
  const swept = await onFolder(root, () => runFolder.sweep());
  if (swept.length > 0) terminal.warn(`ended what an earlier start had left running: ${swept.join(', ')}`);

  const door = await openGatewaySocket(settings.bind, settings.port);
  ensurePrograms({ allowed: settings.noInstall === '0', report: (line) => terminal.say(line) });
  const state = await onFolder(root, () => loadState(home.state, settings.port));
  terminal.say(`Holdfast starts in ${root}`);

  const children = new Children({ runFolder, logFolder: home.log, terminal });
  const cluster = new LocalCluster({
    ...{ home, state, runFolder, children, terminal, door, programOf, passedOn },
    bind: settings.bind,
    gatewayPort: settings.port,
    subjectPrefix: settings.subjectPrefix,
    workingDirectory: process.cwd(),
    environment: {
      ...inheritedVariables(process.env),
      ...configFile(process.env.HOLDFAST_CONFIG),
      // glibc keeps an arena of memory for each thread; two are enough for processes of this size.
      MALLOC_ARENA_MAX: '2',
    },
  });
  const stop = stopOnSignals({ cluster, killAll: () => runFolder.killAll(), terminal });
  try {
    if (!(await cluster.start())) return;
  } catch (error) {
    await stop();
    throw error;
  }
  terminal.say(`\nHoldfast is ready: ${cluster.address}  (${duration(performance.now() - begunMs)})`);
  const leaderId = (await leaderIdOf(cluster.address)) ?? 'node-1';
  terminal.say(banner({ address: cluster.address, runFolder: shownPath(home.runFolder), leaderId }));
}

function refuseUnsuitableMachine(): void {
  if (process.platform === 'win32') {
    throw new StartRefused('Holdfast runs on Linux and macOS; on Windows use WSL2.');
  }
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 24 || (major === 24 && minor < 15)) {
    throw new StartRefused(`Holdfast needs Node 24.15 or later; this is ${process.version}.`);
  }
}

function configFile(path: string | undefined): Record<string, string> {
  return path === undefined ? {} : { HOLDFAST_CONFIG: resolve(path) };
}

function shownPath(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith('..') ? path : fromHere;
}

/** Troubles with a known cause are told in their own words; anything else with its stack. */
function explain(error: unknown): string {
  const known = [StartRefused, SettingsError, ProgramMissing, ServerFailed];
  if (known.some((type) => error instanceof type)) return (error as Error).message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

main().catch((error: unknown) => {
  process.stderr.write(`Holdfast cannot start: ${explain(error)}\n`);
  process.exit(1);
});
