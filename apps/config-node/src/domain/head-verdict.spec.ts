import { describe, expect, it } from 'vitest';
import { judgeHead } from './head-verdict.js';

const own = (clusterId: string | null, versionAtAsking: number, version: number) => ({
  clusterId,
  versionAtAsking,
  version,
  chainAt: (at: number) => (at > version - 5 ? `chain-${at}` : undefined),
});

describe('judgeHead', () => {
  it.each([
    ['the same history', own('c', 10, 10), 'c', 10, 'chain-10', 'level'],
    ['a node that has just begun', own(null, 0, 0), 'c', 7, 'chain-7', 'behind'],
    ['head further on', own('c', 10, 10), 'c', 11, 'chain-11', 'behind'],
    ['applied while head was asked for', own('c', 10, 12), 'c', 11, 'chain-11', 'level'],
    ['applied so much meanwhile that it is forgotten', own('c', 10, 30), 'c', 11, 'chain-11', 'level'],
    ['another chain at the same version', own('c', 10, 10), 'c', 10, 'other', 'diverged'],
    ['another chain at a version applied meanwhile', own('c', 10, 12), 'c', 11, 'other', 'diverged'],
    ['head below what was held', own('c', 10, 10), 'c', 9, 'chain-9', 'diverged'],
    ['head below by as much as may be lost', own('c', 110, 110), 'c', 10, 'chain-10', 'diverged'],
    ['head below by more', own('c', 111, 111), 'c', 10, 'chain-10', 'wrong-database'],
    ['an emptied database', own('c', 5, 5), 'd', 0, 'chain-0', 'wrong-database'],
    ['another cluster that is further on', own('c', 5, 5), 'd', 9, 'chain-9', 'wrong-database'],
  ])('%s', (_name, history, clusterId, version, chain, wanted) => {
    expect(judgeHead(history, { clusterId, version, chain }, 100)).toBe(wanted);
  });
});
