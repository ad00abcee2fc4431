import { describe, expect, it } from 'vitest';
import { type GatewayAnswer, waitsFor } from './cluster-readiness.js';

const health = (status: number, ok: boolean): GatewayAnswer => ({
  status,
  body: { checks: { leader: { ok } } },
});
const cluster = (...nodes: [id: string, status: string | null, reason?: string][]): GatewayAnswer => ({
  status: 200,
  body: { nodes: nodes.map(([id, status, reason]) => ({ id, status, reason: reason ?? null })) },
});
const well = cluster(['node-1', 'healthy'], ['node-2', 'healthy']);
const led = health(200, true);

describe('a started cluster waits for', () => {
  it.each<[string | undefined, GatewayAnswer, GatewayAnswer]>([
    ['the gateway does not answer', undefined, undefined],
    ['the gateway answers 503 {"checks":{"leader":{"ok":false}}}', health(503, false), well],
    ['no leader is confirmed', health(200, false), well],
    ['no leader is confirmed', { status: 200, body: 'a page of somebody else' }, well],
    ['the gateway does not show the cluster', led, undefined],
    ['node-2 is not known yet', led, cluster(['node-1', 'healthy'])],
    ['node-2 is degraded (syncing)', led, cluster(['node-1', 'healthy'], ['node-2', 'degraded', 'syncing'])],
    ['node-2 is not registered', led, cluster(['node-1', 'healthy'], ['node-2', null])],
    [undefined, led, cluster(['node-1', 'healthy'], ['node-2', 'degraded', 'draining'])],
    [undefined, led, well],
  ])('%s', (reason, gateway, view) => {
    expect(waitsFor(gateway, view, ['node-1', 'node-2'])?.what).toBe(reason);
  });

  it('nodes only for as long as its caller likes: the cluster serves without them', () => {
    const { needed } = waitsFor(led, cluster(['node-1', 'healthy']), ['node-1', 'node-2']) ?? {};
    expect(needed).toBe(false);
    expect(waitsFor(health(200, false), well, ['node-1'])?.needed).toBe(true);
  });
});
