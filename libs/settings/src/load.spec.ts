import { describe, expect, it } from 'vitest';
import { loadSettings, maskSecrets, SettingsError, type SettingsInput } from './load.js';

const KEY = 'x'.repeat(32);

function input(overrides: Partial<SettingsInput> = {}): SettingsInput {
  return {
    argv: [],
    env: {},
    readFile: (path) => {
      throw new Error(`no file ${path}`);
    },
    ...overrides,
  };
}

describe('loadSettings', () => {
  it('takes a flag before a variable before the file before the default', () => {
    const readFile = () => 'nodeId: from-file\nbind: 0.0.0.0\nport: 7400\n';
    const settings = loadSettings(
      ['nodeId', 'bind', 'port', 'logLevel'],
      {},
      input({
        argv: ['--node-id=from-flag'],
        env: { HOLDFAST_NODE_ID: 'from-env', HOLDFAST_PORT: '7401', HOLDFAST_CONFIG: 'c.yaml' },
        readFile,
      }),
    );
    expect(settings).toEqual({ nodeId: 'from-flag', bind: '0.0.0.0', port: 7401, logLevel: 'info' });
  });

  it('reads lists of hosts and nodes', () => {
    const env = {
      HOLDFAST_POSTGRES_HOSTS: 'a:1, b:2',
      HOLDFAST_NODES: 'node-1=http://h:1/,node-2=http://h:2',
    };
    expect(loadSettings(['postgresHosts', 'nodes'], {}, input({ env }))).toEqual({
      postgresHosts: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
      nodes: [
        { id: 'node-1', address: 'http://h:1' },
        { id: 'node-2', address: 'http://h:2' },
      ],
    });
  });

  it('reads a secret from a file and masks it', () => {
    const env = { HOLDFAST_CLUSTER_KEY_FILE: '/run/secrets/key' };
    const settings = loadSettings(['clusterKey'], {}, input({ env, readFile: () => `${KEY}\n` }));
    expect(settings.clusterKey).toBe(KEY);
    expect(maskSecrets(settings)).toEqual({ clusterKey: '***' });
  });

  it.each([
    [{ env: { HOLDFAST_NODEID: 'x' } }, 'HOLDFAST_NODEID: no such setting'],
    [{ env: { HOLDFAST_NODE_ID_FILE: 'x' } }, 'HOLDFAST_NODE_ID_FILE: no such setting'],
    [{ argv: ['--nope=1'] }, '--nope: no such flag'],
    [{ argv: ['--port'] }, '--port: write --port=VALUE'],
    [{ env: { HOLDFAST_PORT: '70000' } }, 'HOLDFAST_PORT: '],
    [{ env: { HOLDFAST_CONFIG: 'gone.yaml' } }, 'HOLDFAST_CONFIG: cannot read gone.yaml'],
  ])('refuses %j', (overrides, message) => {
    expect(() => loadSettings(['port', 'bind'], {}, input(overrides))).toThrow(SettingsError);
    expect(() => loadSettings(['port', 'bind'], {}, input(overrides))).toThrow(message);
  });

  it('names every fault at once', () => {
    const env = { HOLDFAST_PORT: 'x', HOLDFAST_CLUSTER_KEY: 'short' };
    try {
      loadSettings(['port', 'clusterKey'], {}, input({ env }));
      expect.unreachable();
    } catch (error) {
      expect((error as SettingsError).faults).toHaveLength(2);
    }
  });
});
