import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type BusRole, busRoles } from '#libs/contracts';
import {
  type LaunchOptions,
  readyWithin,
  type ServerProcess,
  spawnServer,
  waitUntilReady,
} from './child-server.js';
import { freePort } from './free-port.js';
import { keepConfig } from './kept-config.js';
import { keptSecret } from './kept-secret.js';
import { probeTcp } from './probe.js';
import { findProgram } from './programs.js';

const HOST = '127.0.0.1';
const USER = 'holdfast';

export interface NatsServer extends ServerProcess {
  readonly host: string;
  readonly port: number;
  /** Of the cluster's own processes: everything is permitted. */
  readonly user: string;
  readonly password: string;
  /** Of foreign services, and of dashboards; see `busRoles`. */
  readonly member: NatsLogin;
  readonly listener: NatsLogin;
}

export interface NatsLogin {
  readonly user: string;
  readonly password: string;
}

export interface StartNats extends LaunchOptions {
  /** Everything of this server lives here: configuration, password, JetStream's store. */
  dir: string;
  port?: number;
  /** Where the passwords of `member` and `listener` are kept (0600); by default in `dir`. */
  secretsDir?: string;
  /** What the subjects of the cluster begin with, see `HOLDFAST_SUBJECT_PREFIX`. */
  subjectPrefix?: string;
}

/** One nats-server with JetStream and a password, on the loopback interface. */
export async function startNats(options: StartNats): Promise<NatsServer> {
  const dir = resolve(options.dir);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const program = findProgram('nats-server');
  const port = options.port ?? (await freePort());
  const password = await keptSecret(join(dir, 'password'));
  const secrets = resolve(options.secretsDir ?? dir);
  const login = async (role: string) => ({
    user: role,
    password: await keptSecret(join(secrets, `nats-${role}`)),
  });
  const [member, listener] = await Promise.all([login('member'), login('listener')]);
  const roles = busRoles(options.subjectPrefix);
  const users = natsUsers([[{ user: USER, password }], [member, roles.member], [listener, roles.listener]]);
  const file = join(dir, 'nats.conf');
  await keepConfig(file, natsConfig({ port, users, storeDir: join(dir, 'jetstream') }));

  const server = await spawnServer({
    name: 'nats-server',
    program,
    args: ['-c', file],
    cwd: dir,
    // SIGINT is its orderly end; SIGTERM exits with code 1 in some releases.
    stopSignals: [{ signal: 'SIGINT', graceMs: 5_000 }],
    onOutput: options.onOutput,
    onSpawned: options.onSpawned,
  });
  const probe = { user: USER, pass: password, verbose: false, pedantic: false, lang: 'probe', version: '1' };
  const ready = () =>
    probeTcp({
      host: HOST,
      port,
      request: `CONNECT ${JSON.stringify(probe)}\r\nPING\r\n`,
      judge: (received) => {
        const text = received.toString('latin1');
        if (text.includes('-ERR')) return false;
        return text.includes('PONG') ? true : undefined;
      },
    });
  await waitUntilReady(server, ready, readyWithin(options, 30_000));
  return { ...server, host: HOST, port, user: USER, password, member, listener };
}

/** One user a line, as the configuration file of nats-server 2.9 has them; without a role everything is permitted. */
function natsUsers(users: readonly (readonly [NatsLogin, BusRole?])[]): string {
  const lines = users.map(
    ([{ user, password }, role]) =>
      `    { user: "${user}", password: "${password}"${role ? `, ${natsPermissions(role)}` : ''} }`,
  );
  return lines.join('\n');
}

/** What a user of a role may do, as nats.conf has it. */
export function natsPermissions({ publish, subscribe }: BusRole): string {
  const subjects = (list: readonly string[]) =>
    list.length === 0 ? '{ deny: [">"] }' : `{ allow: ${JSON.stringify(list)} }`;
  return `permissions: { publish: ${subjects(publish)}, subscribe: ${subjects(subscribe)} }`;
}

function natsConfig(settings: { port: number; users: string; storeDir: string }): string {
  return `# Written at every start.
server_name: holdfast
host: "${HOST}"
port: ${settings.port}
max_payload: 1048576
write_deadline: "5s"
authorization {
  timeout: 2
  users: [
${settings.users}
  ]
}
jetstream { store_dir: ${JSON.stringify(settings.storeDir)}, max_memory_store: 64MB, max_file_store: 2GB }
logtime: true
`;
}
