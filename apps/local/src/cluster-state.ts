import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { z } from 'zod';
import { freePorts, isPortFree, newSecret } from '#libs/embedded-servers';
import { portsToChoose } from './domain/ports.js';
import { DATABASE_ROLES, type DatabaseRole, PORT_OWNERS } from './domain/process-plan.js';
import { StartRefused } from './start-refused.js';

const port = z.number().int().min(1).max(65_535);
const secret = z.string().min(16);
const State = z.object({
  format: z.literal(1),
  ports: z.record(z.string(), port),
  clusterKey: secret,
  /** A role that a newer release has added gets its password when the state is read. */
  databasePasswords: z
    .record(z.string(), secret)
    .transform((kept) => ({ ...newPasswords(), ...kept }) as Record<DatabaseRole, string>),
});
/** What a local cluster keeps from start to start beside its data. */
export type ClusterState = z.infer<typeof State>;

/** The state kept in `file`, or a new one; with a free port for everybody. */
export async function loadState(file: string, gatewayPort: number): Promise<ClusterState> {
  const kept = readState(file) ?? newState();
  const free = new Map<number, boolean>();
  for (const owner of PORT_OWNERS) {
    const candidate = kept.ports[owner];
    if (candidate !== undefined)
      free.set(candidate, candidate !== gatewayPort && (await isPortFree(candidate)));
  }
  const choose = portsToChoose(PORT_OWNERS, kept.ports, (candidate) => free.get(candidate) === true);
  const chosen = await freePorts(choose.length, { avoid: [gatewayPort, ...free.keys()] });
  const ports = { ...kept.ports };
  choose.forEach((owner, index) => {
    ports[owner] = z.number().parse(chosen[index]);
  });
  const state = { ...kept, ports };
  write(file, state);
  return state;
}

function newState(): ClusterState {
  return State.parse({ format: 1, ports: {}, clusterKey: newSecret(), databasePasswords: {} });
}

function newPasswords(): Record<string, string> {
  return Object.fromEntries(DATABASE_ROLES.map((role) => [role, newSecret()]));
}

/** Undefined when there is none. */
export function readState(file: string): ClusterState | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return State.parse(JSON.parse(text));
  } catch (error) {
    throw new StartRefused(
      `${file} cannot be understood. It holds ports and secrets only, no configuration: move it away, and a new one is made.`,
      { cause: error },
    );
  }
}

function write(file: string, state: ClusterState): void {
  const descriptor = openSync(`${file}.new`, 'w', 0o600);
  try {
    writeSync(descriptor, `${JSON.stringify(state, null, 2)}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(`${file}.new`, file);
}
