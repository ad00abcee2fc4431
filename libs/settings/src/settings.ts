import { z } from 'zod';
import { BALANCING_STRATEGIES } from '#libs/contracts';
import { parseHostPattern } from './host-pattern.js';

const port = z.coerce.number().int().min(0).max(65_535);
const csv = (text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
const list = z.preprocess((v) => (typeof v === 'string' ? csv(v) : v), z.array(z.string()));

const hostPatterns = z.preprocess(
  (v) => (typeof v === 'string' ? csv(v) : v),
  z.array(
    z.string().check((context) => {
      const parsed = parseHostPattern(context.value);
      if ('fault' in parsed)
        context.issues.push({ code: 'custom', message: parsed.fault, input: context.value });
    }),
  ),
);

const hosts = z.preprocess(
  (v) => (typeof v === 'string' ? csv(v) : v),
  z.array(
    z
      .string()
      .regex(/^.+:\d{1,5}$/, 'expected host:port')
      .transform((text) => {
        const colon = text.lastIndexOf(':');
        return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
      }),
  ),
);

const nodes = z.preprocess(
  (v) => (typeof v === 'string' ? csv(v) : v),
  z.array(
    z
      .string()
      .regex(/^[^=]+=https?:\/\/.+$/, 'expected id=http://host:port')
      .transform((text) => {
        const equals = text.indexOf('=');
        return { id: text.slice(0, equals), address: text.slice(equals + 1).replace(/\/$/, '') };
      }),
  ),
);

interface Setting {
  schema: z.ZodType;
  /** Never logged, and may be given as a file by the name with `_FILE`. */
  secret?: boolean;
  meaning: string;
}

/** Every setting there is, by its name in code. The variable is `HOLDFAST_` and the name in upper snake case. */
export const SETTINGS = {
  home: {
    schema: z.string().min(1).default('.holdfast'),
    meaning: 'Folder of a local cluster: data, logs, pids, secrets.',
  },
  port: { schema: port.default(0), meaning: 'Port that the process serves HTTP on; 0 = any free one.' },
  bind: { schema: z.string().default('127.0.0.1'), meaning: 'Address that the process listens on.' },
  address: {
    schema: z.url({ protocol: /^https?$/ }).optional(),
    meaning: 'URL at which other processes reach this one; by default made of bind and port.',
  },
  nodeId: {
    schema: z.string().min(1).max(63),
    meaning: 'Name of a config node, unique in the cluster.',
  },
  instanceId: {
    schema: z.string().min(1).max(63).optional(),
    meaning: 'Name of this instance of a service.',
  },
  nodeRole: {
    schema: z.enum(['voter', 'observer']).default('voter'),
    meaning: 'Whether a node may be elected.',
  },
  nodePriority: {
    schema: z.coerce.number().int().min(0).max(1_000).default(100),
    meaning: 'Of voters with equal histories the one with the highest priority is elected.',
  },
  nodeMetadata: {
    schema: z.preprocess(
      (v) => (typeof v === 'string' ? Object.fromEntries(csv(v).map((kv) => kv.split(/=(.*)/s, 2))) : v),
      z.record(z.string(), z.string()).default({}),
    ),
    meaning: 'Labels of a node: name=value,name=value.',
  },
  dataDir: { schema: z.string().default('.holdfast/data/node'), meaning: "Folder for a node's snapshots." },
  maxLostTail: {
    schema: z.coerce.number().int().min(0).default(1_000),
    meaning: 'A database that lacks more than this many of the latest versions is taken for a wrong one.',
  },
  compactionEveryMs: {
    schema: z.coerce.number().int().min(1_000).max(86_400_000).default(600_000),
    meaning:
      'How often the leader removes history that the key history/retention of the namespace system no longer keeps.',
  },
  compactionKeepVersions: {
    schema: z.coerce.number().int().min(1_000).default(100_000),
    meaning:
      'The latest versions of the whole history, which always stay: nodes and watchers resume from them.',
  },
  postgresHosts: {
    schema: hosts.default([{ host: '127.0.0.1', port: 5432 }]),
    meaning: 'Primary and standbys: host:port,host:port.',
  },
  postgresDatabase: { schema: z.string().default('holdfast'), meaning: 'Database name.' },
  postgresUser: { schema: z.string().optional(), meaning: "Database role; by default the service's own." },
  postgresPassword: {
    schema: z.string().default(''),
    secret: true,
    meaning: 'Password of the database role.',
  },
  natsServers: { schema: list.default(['127.0.0.1:4222']), meaning: 'NATS servers: host:port,host:port.' },
  natsUser: { schema: z.string().optional(), meaning: 'NATS user.' },
  natsPassword: { schema: z.string().optional(), secret: true, meaning: 'NATS password.' },
  subjectPrefix: {
    schema: z
      .string()
      .max(128)
      .regex(
        /^$|^[a-zA-Z0-9_-]+(?:\.[a-zA-Z0-9_-]+)*$/,
        'tokens of letters, digits, - and _, separated by dots',
      )
      .default(''),
    meaning:
      'Before every subject on NATS, so that clusters can share it: team-a.prod. The same in all processes.',
  },
  redisHost: { schema: z.string().default('127.0.0.1'), meaning: 'Redis host.' },
  redisPort: { schema: port.default(6379), meaning: 'Redis port.' },
  redisPassword: { schema: z.string().optional(), secret: true, meaning: 'Redis password.' },
  redisSentinels: {
    schema: hosts.default([]),
    meaning: 'Redis Sentinels, host:port,host:port; then redisHost is not used.',
  },
  redisMaster: {
    schema: z.string().default('holdfast'),
    meaning: 'Name of the Redis master that the Sentinels watch.',
  },
  clusterKey: {
    schema: z.string().min(16),
    secret: true,
    meaning: 'Secret shared by the processes of one cluster.',
  },
  nodes: {
    schema: nodes.default([]),
    meaning: 'Nodes known beforehand: node-1=http://host:port,…; others are discovered.',
  },
  sharedListening: {
    schema: z.enum(['0', '1']).default('0'),
    meaning:
      '1: the process that starts a gateway sends it the listening socket over IPC, as it shares one among several.',
  },
  balancing: {
    schema: z.enum(BALANCING_STRATEGIES).default('least-connections'),
    meaning:
      'How a gateway chooses among nodes that are equally fit, until the key gateway/balancing of the namespace system says otherwise.',
  },
  hedgeReads: {
    schema: z.enum(['0', '1']).default('0'),
    meaning: '1 = a gateway asks a second node for a read that takes longer than nineteen in twenty.',
  },
  preset: {
    schema: z.enum(['local', 'lan', 'wan']).default('lan'),
    meaning: 'Timings that fit the network.',
  },
  logLevel: {
    schema: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
    meaning: 'Least severe level logged.',
  },
  publicHosts: {
    schema: hostPatterns.default(['localhost', '127.0.0.1', '[::1]']),
    meaning:
      'Hosts under which the public interface may be addressed: name, name:port, or *.name for all below it.',
  },
  corsOrigins: {
    schema: list.default([]),
    meaning: 'Origins of web pages that may call the public interface.',
  },
  noInstall: {
    schema: z.enum(['0', '1']).default('0'),
    meaning: '1 forbids a local cluster to install missing servers.',
  },
  recoveryDriver: {
    schema: z.enum(['none', 'local', 'docker', 'kubernetes']).default('none'),
    meaning: 'Who starts a node again that does not answer and does not come back by itself.',
  },
  recoveryMaxRetries: {
    schema: z.coerce.number().int().min(0).max(100).default(5),
    meaning: 'Restarts of one node before its recovery is given up.',
  },
  recoveryRetryIntervalMs: {
    schema: z.coerce.number().int().min(100).max(300_000).default(10_000),
    meaning: 'Longest wait before the first retry; it doubles with each, up to 30 times as long.',
  },
  recoverySelfRestartMs: {
    schema: z.coerce.number().int().min(100).max(600_000).default(10_000),
    meaning: 'How long a failed node may take to come back by itself before it is restarted.',
  },
  recoveryVerifyMs: {
    schema: z.coerce.number().int().min(500).max(600_000).default(30_000),
    meaning: 'How long a restarted node may take until it answers and is ready.',
  },
  recoveryTimeoutMs: {
    schema: z.coerce.number().int().min(1_000).max(86_400_000).default(600_000),
    meaning: 'How long a recovery may take as a whole before it is given up.',
  },
  flapSuppress: {
    schema: z.coerce.number().int().min(0).default(2_000),
    meaning: 'Score (1,000 for each failure) at which a node is quarantined; 0 = never.',
  },
  flapHalfLifeMs: {
    schema: z.coerce.number().int().min(100).max(86_400_000).default(900_000),
    meaning: 'Time in which half of that score is forgotten; a quarantine lasts at most 4 times as long.',
  },
  syncChangesPerSecond: {
    schema: z.coerce.number().int().min(1).max(1_000_000).default(5_000),
    meaning: 'Changes that one sync instance pushes to nodes in a second, all of them together.',
  },
  consistencyRepair: {
    schema: z.enum(['0', '1']).default('1'),
    meaning: '1: what the regular checks find wrong is set right; 0: it is only told.',
  },
  truthIntervalMs: {
    schema: z.coerce.number().int().min(1_000).default(60_000),
    meaning:
      'Nodes are compared with a digest of the state in the database this often, or as rarely as it takes to cost 1 %.',
  },
  maxInconsistencies: {
    schema: z.coerce.number().int().min(1).max(10_000).default(100),
    meaning: 'Wrong keys of one node (at most 1 % of all) above which its whole state is loaded anew.',
  },
  supervisorAddress: {
    schema: z.url({ protocol: /^http$/ }).optional(),
    meaning: 'URL of the supervisor of a local cluster, for the recovery driver `local`.',
  },
  dockerSocket: {
    schema: z.string().min(1).default('/var/run/docker.sock'),
    meaning: 'Socket of the Docker engine, for the recovery driver `docker`.',
  },
  kubernetesApi: {
    schema: z.url({ protocol: /^https?$/ }).default('https://kubernetes.default.svc'),
    meaning: 'URL of the Kubernetes API, for the recovery driver `kubernetes`.',
  },
  kubernetesNamespace: {
    schema: z.string().min(1).optional(),
    meaning: 'Namespace of the nodes’ pods; by default that of the service account.',
  },
  kubernetesCredentials: {
    schema: z.string().min(1).default('/var/run/secrets/kubernetes.io/serviceaccount'),
    meaning: 'Folder with token, ca.crt and namespace of the service account.',
  },
  superuserPassword: {
    schema: z.string().optional(),
    secret: true,
    meaning: 'Password of the database superuser, for the first set-up only.',
  },
  rolePasswordsDir: {
    schema: z.string().optional(),
    meaning:
      'Folder with the password of each database role in a file, such as postgres-node, for the first set-up only.',
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;
export type SettingValue<K extends SettingName> = z.output<(typeof SETTINGS)[K]['schema']>;
export type Settings<K extends SettingName> = Readonly<{ [P in K]: SettingValue<P> }>;

export function variableOf(name: SettingName): string {
  return `HOLDFAST_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

export function isSecret(name: SettingName): boolean {
  const setting: Setting = SETTINGS[name];
  return setting.secret === true;
}

export function settingNames(): SettingName[] {
  return Object.keys(SETTINGS) as SettingName[];
}
