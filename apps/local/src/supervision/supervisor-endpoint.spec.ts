import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RestartHow, SupervisorEndpoint } from './supervisor-endpoint.js';

const KEY = 'k'.repeat(32);
const GATEWAY = 'http://127.0.0.1:8080';

let door: SupervisorEndpoint;
let restarted: string[];
let ready: boolean;
beforeEach(async () => {
  restarted = [];
  ready = true;
  door = await SupervisorEndpoint.open(0, KEY, {
    address: GATEWAY,
    processes: () => [{ name: 'node-1', kind: 'node', pid: 7, ready, restarts: 2 }],
    restart: async (name: string, how: RestartHow) => {
      restarted.push(`${name} ${how}`);
      return 'ended';
    },
    reportFailure: () => undefined,
  });
});
afterEach(() => door.close());

function ask(path: string, options: { method?: string; body?: string; key?: string } = {}) {
  const { method = 'GET', key = KEY, body } = options;
  const headers = { 'holdfast-cluster-key': key, 'content-type': 'application/json' };
  return fetch(`http://127.0.0.1:${door.port}${path}`, { method, headers, ...(body ? { body } : {}) });
}
const restart = (body: string, name = 'node-1') =>
  ask(`/processes/${name}/restart`, { method: 'POST', body });

describe('the door of the supervisor', () => {
  it('lists the processes and where clients reach them', async () => {
    expect(await (await ask('/processes')).json()).toEqual({
      gateway: GATEWAY,
      processes: [{ name: 'node-1', kind: 'node', pid: 7, ready: true, restarts: 2 }],
    });
  });

  it('restarts in order or by force', async () => {
    expect(await (await restart('{"how":"planned"}')).json()).toEqual({ outcome: 'ending' });
    expect(await (await restart('{"how":"by-force"}')).json()).toEqual({ outcome: 'ended' });
    expect(restarted).toEqual(['node-1 planned', 'node-1 by-force']);
  });

  it('plans nothing for a process that is not running', async () => {
    ready = false;
    expect((await restart('{"how":"planned"}')).status).toBe(429);
    expect((await restart('{"how":"by-force"}')).status).toBe(202);
    expect(restarted).toEqual(['node-1 by-force']);
  });

  it.each([
    ['without the secret', () => ask('/processes', { key: 'x' }), 403],
    ['of a process that it does not run', () => restart('{"how":"planned"}', 'postgres'), 404],
    ['of something else', () => ask('/else'), 404],
    ['with another method', () => ask('/processes', { method: 'DELETE' }), 405],
    ['that is no JSON', () => restart('how'), 400],
    ['in a way that does not exist', () => restart('{"how":"gently"}'), 422],
    ['with a body beyond measure', () => restart(`{"how":"${'x'.repeat(5_000)}"}`), 413],
  ])('refuses a request %s', async (_what, request, status) => {
    const answer = await request();
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ status });
    expect(restarted).toEqual([]);
  });
});
