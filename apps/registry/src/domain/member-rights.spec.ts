import { describe, expect, it } from 'vitest';
import type { NodeHeartbeat } from '#libs/contracts';
import { memberBeat, memberMayBe, type Ownership } from './member-rights.js';

describe('finding 2: a member without the cluster key speaks for services only', () => {
  it.each<[NodeHeartbeat['kind'], Ownership, boolean]>([
    ['service', 'nobody', true],
    ['service', 'member', true],
    [undefined, 'member', true],
    [undefined, 'nobody', false],
    ['config-node', 'nobody', false],
    ['config-node', 'member', false],
    ['service', 'cluster', false],
    [undefined, 'cluster', false],
  ])('kind %s of an id of %s: %s', (kind, owner, may) => {
    expect(memberMayBe(kind, owner)).toBe(may);
  });

  it('a heartbeat keeps nothing that decides who leads or how far a history goes', () => {
    const beat: NodeHeartbeat = {
      ...{ nodeId: 'shop-1', incarnation: 5, seq: 1, kind: 'service', role: 'leader', condition: 'ok' },
      ...{ term: 9, version: 9, chain: '0'.repeat(64), clusterId: 'x', fenceConfirmedAgoMs: 0 },
    };
    expect(memberBeat(beat, 'member')).toEqual({
      ...{ nodeId: 'shop-1', incarnation: 5, seq: 1, kind: 'service', condition: 'ok' },
      ...{ address: undefined, metadata: undefined },
    });
    expect(memberBeat({ ...beat, kind: 'config-node' }, 'member')).toBeUndefined();
  });
});
