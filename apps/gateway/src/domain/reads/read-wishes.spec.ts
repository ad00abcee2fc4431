import { describe, expect, it } from 'vitest';
import { Candidate } from '../nodes/candidate.js';
import { demandOf } from './read-demand.js';
import { type ReadFacts, wishesOf } from './read-wishes.js';

const [leader, level, behind] = ['n1', 'n2', 'n3'].map((id) => new Candidate(id, `http://${id}`)) as [
  Candidate,
  Candidate,
  Candidate,
];
leader.version = 10;
level.version = 10;
behind.version = 8;

function goesTo(target: string, facts: Partial<ReadFacts> = {}): string[] {
  const all = {
    leader,
    headVersion: 10,
    ownVersion: 0,
    first: false,
    versionOf: (candidate: Candidate) => candidate.version,
    ...facts,
  };
  let left = [leader, level, behind];
  for (const wish of wishesOf(demandOf(target, undefined), all)) {
    const granted = left.filter(wish);
    if (granted.length > 0) left = granted;
  }
  return left.map(({ id }) => id);
}

const KEY = '/v1/namespaces/app/configs/a';
const LIST = '/v1/namespaces/app/configs?limit=1000';

describe('findings 6a and 10, report 10: where a read would rather go', () => {
  it.each<[string, Partial<ReadFacts>, string[]]>([
    [KEY, {}, ['n1', 'n2', 'n3']],
    [`${KEY}?minVersion=9`, {}, ['n1', 'n2']],
    [`${KEY}?minVersion=8`, {}, ['n1', 'n2', 'n3']],
    // beyond the head as it is known: if anybody has it, the leader has
    [`${KEY}?minVersion=11`, {}, ['n1']],
    [`${KEY}?minVersion=999999999`, {}, ['n1', 'n2', 'n3']],
    [KEY, { ownVersion: 10 }, ['n1', 'n2']],
    [KEY, { first: true }, ['n1']],
    [LIST, {}, ['n2', 'n3']],
    [LIST, { ownVersion: 9 }, ['n2']],
    [LIST, { ownVersion: 11, headVersion: 11 }, ['n2', 'n3']],
    [`${LIST}&minVersion=11`, {}, ['n2', 'n3']],
    ['/v1/namespaces/app/history/a', {}, ['n2', 'n3']],
    [LIST, { leader: undefined }, ['n1', 'n2', 'n3']],
    [KEY, { leader: undefined, first: true }, ['n1', 'n2', 'n3']],
  ])('%s with %j', (target, facts, expected) => {
    expect(goesTo(target, facts)).toEqual(expected);
  });
});
