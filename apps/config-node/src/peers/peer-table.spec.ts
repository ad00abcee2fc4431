import { describe, expect, it } from 'vitest';
import { PeerTable } from './peer-table.ts';

const MINUTE_MS = 60_000;
const SEEDS = [{ id: 'node-1', address: 'http://seed:1' }];

describe('finding 18b: peers under ever new names', () => {
  const cluster = () => {
    let nowMs = 0;
    const peers = new PeerTable('self', SEEDS, 100, { monotonicMs: () => nowMs });
    return {
      peers,
      at: (ms: number) => {
        nowMs = ms;
      },
    };
  };

  it('knows the address of a new leader, however many pods there were before', () => {
    const { peers } = cluster();
    for (let i = 0; i < 5_000; i++) peers.update(`pod-${i}`, { address: `http://pod:${i}`, version: i });
    peers.update('leader', { address: 'http://leader:1' });
    expect(peers.addressOf('leader')).toBe('http://leader:1');
    expect(peers.addressOf('node-1')).toBe('http://seed:1');
    expect(peers.addressOf('pod-4999')).toBe('http://pod:4999');
    expect(peers.addressOf('pod-0')).toBeNull();
    expect(peers.others().length).toBe(1_024);
  });

  it('keeps those that are heard, whatever others come and go', () => {
    const { peers } = cluster();
    peers.update('steady', { address: 'http://steady:1' });
    for (let i = 0; i < 5_000; i++) {
      peers.update(`pod-${i}`, { address: `http://pod:${i}` });
      if (i % 500 === 0) peers.update('steady', {});
    }
    expect(peers.addressOf('steady')).toBe('http://steady:1');
  });

  it('forgets those that are gone when another comes', () => {
    const { peers, at } = cluster();
    peers.update('pod-1', { address: 'http://pod:1' });
    at(5 * MINUTE_MS);
    peers.update('pod-2', { address: 'http://pod:2' });
    at(11 * MINUTE_MS);
    peers.update('pod-3', { address: 'http://pod:3' });
    expect(
      peers
        .others()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(['node-1', 'pod-2', 'pod-3']);
  });
});
