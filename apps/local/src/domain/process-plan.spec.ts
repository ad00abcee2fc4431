import { describe, expect, it } from 'vitest';
import { settingNames, variableOf } from '#libs/settings';
import { PLANNED_APPS, type PlanInput, PORT_OWNERS, planProcesses, stopOrder } from './process-plan.js';

const input: PlanInput = {
  home: '/home/me/.holdfast',
  bind: '127.0.0.1',
  gatewayPort: 8080,
  ports: Object.fromEntries(PORT_OWNERS.map((owner, index) => [owner, 20_000 + index])),
  clusterKey: 'cluster-key',
  databasePasswords: {
    node: 'pn',
    registry: 'pr',
    health: 'ph',
    failover: 'pf',
    sync: 'ps',
    consistency: 'pc',
  },
  nats: { user: 'holdfast', password: 'nats-secret' },
  redis: { password: 'redis-secret' },
  passedOn: { HOLDFAST_LOG_LEVEL: 'debug' },
};
const plan = planProcesses(input);
const envOf = (name: string) => plan.find((it) => it.name === name)?.env ?? {};

describe('planProcesses', () => {
  it('names every process of the system once', () => {
    expect(plan.map((it) => it.name)).toEqual([
      ...['node-1', 'node-2', 'node-3', 'node-4'],
      ...['registry', 'health', 'failover-1', 'failover-2', 'sync', 'consistency'],
      ...['gateway-1', 'gateway-2'],
    ]);
  });

  it('knows the programs that it starts', () => {
    expect(new Set(plan.map((it) => it.app))).toEqual(new Set(PLANNED_APPS));
  });

  it('sets only variables that settings know', () => {
    const known = new Set(settingNames().map(variableOf));
    const unknown = plan.flatMap((it) => Object.keys(it.env)).filter((name) => !known.has(name));
    expect(unknown).toEqual([]);
  });

  it('gives every node its own port, folder and the addresses of all', () => {
    const ports = ['node-1', 'node-2', 'node-3', 'node-4'].map((id) => envOf(id).HOLDFAST_PORT);
    expect(new Set(ports).size).toBe(4);
    expect(envOf('node-2').HOLDFAST_DATA_DIR).toBe('/home/me/.holdfast/nodes/node-2');
    expect(envOf('node-2').HOLDFAST_NODES).toContain(
      `node-3=http://127.0.0.1:${envOf('node-3').HOLDFAST_PORT}`,
    );
    expect(envOf('node-3').HOLDFAST_NODE_ROLE).toBe('voter');
    expect(envOf('node-4').HOLDFAST_NODE_ROLE).toBe('observer');
  });

  it('tells a process no password that it has no use for', () => {
    const holders = (secret: string) =>
      plan.filter((it) => Object.values(it.env).includes(secret)).map((it) => it.name);
    expect(holders('pn')).toEqual(['node-1', 'node-2', 'node-3', 'node-4']);
    expect(holders('pf')).toEqual(['failover-1', 'failover-2']);
    expect(holders('redis-secret')).toEqual(['registry']);
  });

  it('lets only the gateways listen where the user says', () => {
    const open = planProcesses({ ...input, bind: '0.0.0.0' }).filter(
      (it) => it.env.HOLDFAST_BIND === '0.0.0.0',
    );
    expect(open.map((it) => it.name)).toEqual(['gateway-1', 'gateway-2']);
  });
});

describe('stopOrder', () => {
  it('closes the doors first and the database last, forgetting nobody', () => {
    const order = stopOrder(plan);
    expect(order[0]).toEqual(['gateway-1', 'gateway-2']);
    expect(order.slice(-3)).toEqual([['nats'], ['redis'], ['postgres']]);
    expect(order.flat().sort()).toEqual([...plan.map((it) => it.name), 'nats', 'redis', 'postgres'].sort());
  });
});
