/**
 * The processes of a cluster on one machine, in the order in which people list them, and what each is told.
 * Settings travel as environment variables, so that a process can as well be started by hand.
 */
export type ServerName = 'postgres' | 'nats' | 'redis';
export type ProcessKind = 'node' | 'gateway' | 'service';

export interface ServiceProcess {
  name: string;
  kind: ProcessKind;
  /** Folder below apps/. */
  app: string;
  /** Flags of the JavaScript engine. */
  engineFlags: string[];
  env: Record<string, string>;
}

export const SERVER_NAMES: readonly ServerName[] = ['postgres', 'nats', 'redis'];

export const VOTERS = ['node-1', 'node-2', 'node-3'] as const;
export const OBSERVERS = ['node-4'] as const;
const NODES = [...VOTERS, ...OBSERVERS];
const GATEWAYS = ['gateway-1', 'gateway-2'] as const;

/** Whoever keeps rows has a database role of its own. */
export const DATABASE_ROLES = ['node', 'registry', 'health', 'failover', 'sync', 'consistency'] as const;
export type DatabaseRole = (typeof DATABASE_ROLES)[number];

const CONTROL: readonly { name: string; app: DatabaseRole }[] = [
  { name: 'registry', app: 'registry' },
  { name: 'health', app: 'health' },
  { name: 'failover-1', app: 'failover' },
  { name: 'failover-2', app: 'failover' },
  { name: 'sync', app: 'sync' },
  { name: 'consistency', app: 'consistency' },
];

/** Folders below apps/ that the plan starts programs of. */
export const PLANNED_APPS: readonly string[] = [
  'config-node',
  ...new Set(CONTROL.map(({ app }) => app)),
  'gateway',
];

/** The process that starts all the others: it can be asked to restart one. */
export const SUPERVISOR = 'supervisor';

/** What listens on a port of its own, chosen free; the gateways share the one the user knows. */
export const PORT_OWNERS: readonly string[] = [
  SUPERVISOR,
  ...SERVER_NAMES,
  ...NODES,
  ...CONTROL.map((service) => service.name),
];

/** Values are buffers outside the heap; the heap holds their index, and may grow while batches pass through. */
const NODE_FLAGS = ['--max-semi-space-size=32', '--max-old-space-size=768'];
/**
 * A dozen processes share the machine's cores: helpers of a garbage collection that wait for a core keep their process
 * waiting. Measured with 100 large long polls on 2 cores: p99 of the reads beside them 400-900 ms instead of 700-1,200.
 * Nodes may have heaps of hundreds of MB, which are marked beside the event loop.
 */
const ONE_THREAD = '--single-threaded-gc';
const GATEWAY_FLAGS = [ONE_THREAD, '--max-semi-space-size=32', '--max-old-space-size=384'];
const CONTROL_FLAGS = [ONE_THREAD, '--max-semi-space-size=2', '--max-old-space-size=192'];

export interface PlanInput {
  home: string;
  bind: string;
  gatewayPort: number;
  /** By name of PORT_OWNERS. */
  ports: Readonly<Record<string, number>>;
  clusterKey: string;
  databasePasswords: Readonly<Record<DatabaseRole, string>>;
  nats: { user: string; password: string };
  redis: { password: string };
  /** Variables handed on as they are, such as the level of the logs. */
  passedOn: Readonly<Record<string, string>>;
}

export function planProcesses(input: PlanInput): ServiceProcess[] {
  return [
    ...NODES.map((id) => node(input, id)),
    ...CONTROL.map((it) => control(input, it)),
    ...gateways(input),
  ];
}

/** What is stopped together, one group after the other: first the gateways, then what they lead to, the data last. */
export function stopOrder(processes: readonly Pick<ServiceProcess, 'name' | 'kind'>[]): string[][] {
  const named = (kind: ProcessKind) => processes.filter((it) => it.kind === kind).map((it) => it.name);
  return [named('gateway'), named('node'), named('service'), ['nats'], ['redis'], ['postgres']];
}

function node(input: PlanInput, id: string): ServiceProcess {
  const observer = (OBSERVERS as readonly string[]).includes(id);
  return {
    name: id,
    kind: 'node',
    app: 'config-node',
    engineFlags: NODE_FLAGS,
    env: {
      ...common(input, id),
      ...database(input, 'node'),
      HOLDFAST_NODE_ID: id,
      HOLDFAST_NODE_ROLE: observer ? 'observer' : 'voter',
      HOLDFAST_DATA_DIR: `${input.home}/nodes/${id}`,
    },
  };
}

function control(input: PlanInput, service: { name: string; app: DatabaseRole }): ServiceProcess {
  const { name, app } = service;
  return {
    name,
    kind: 'service',
    app,
    engineFlags: CONTROL_FLAGS,
    env: {
      ...common(input, name),
      ...database(input, app),
      ...(app === 'registry' ? cache(input) : {}),
      ...(app === 'failover' ? recovery(input) : {}),
      HOLDFAST_INSTANCE_ID: name,
    },
  };
}

/** Who restarts what does not answer; that somebody died is for failover to find out by itself. */
function recovery(input: PlanInput): Record<string, string> {
  return {
    HOLDFAST_RECOVERY_DRIVER: input.passedOn.HOLDFAST_RECOVERY_DRIVER ?? 'local',
    HOLDFAST_SUPERVISOR_ADDRESS: `http://127.0.0.1:${portOf(input, SUPERVISOR)}`,
  };
}

function gateways(input: PlanInput): ServiceProcess[] {
  return GATEWAYS.map((name) => ({
    name,
    kind: 'gateway',
    app: 'gateway',
    engineFlags: GATEWAY_FLAGS,
    env: {
      ...common(input, name),
      HOLDFAST_INSTANCE_ID: name,
      HOLDFAST_BIND: input.bind,
      HOLDFAST_PORT: String(input.gatewayPort),
      HOLDFAST_SHARED_LISTENING: '1',
    },
  }));
}

function common(input: PlanInput, name: string): Record<string, string> {
  return {
    ...input.passedOn,
    HOLDFAST_PRESET: 'local',
    HOLDFAST_BIND: '127.0.0.1',
    HOLDFAST_PORT: String(portOf(input, name) ?? 0),
    HOLDFAST_CLUSTER_KEY: input.clusterKey,
    HOLDFAST_NODES: NODES.map((id) => `${id}=http://127.0.0.1:${portOf(input, id)}`).join(','),
    HOLDFAST_NATS_SERVERS: `127.0.0.1:${portOf(input, 'nats')}`,
    HOLDFAST_NATS_USER: input.nats.user,
    HOLDFAST_NATS_PASSWORD: input.nats.password,
  };
}

function database(input: PlanInput, role: DatabaseRole): Record<string, string> {
  return {
    HOLDFAST_POSTGRES_HOSTS: `127.0.0.1:${portOf(input, 'postgres')}`,
    HOLDFAST_POSTGRES_DATABASE: 'holdfast',
    HOLDFAST_POSTGRES_USER: `holdfast_${role}`,
    HOLDFAST_POSTGRES_PASSWORD: input.databasePasswords[role],
  };
}

function cache(input: PlanInput): Record<string, string> {
  return {
    HOLDFAST_REDIS_HOST: '127.0.0.1',
    HOLDFAST_REDIS_PORT: String(portOf(input, 'redis')),
    HOLDFAST_REDIS_PASSWORD: input.redis.password,
  };
}

function portOf(input: PlanInput, name: string): number | undefined {
  return input.ports[name];
}
