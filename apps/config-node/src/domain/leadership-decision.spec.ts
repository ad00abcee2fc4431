import { expect, it } from 'vitest';
import { decideLeadership, type LeadershipInput } from './leadership-decision.js';

const self = { nodeId: 'n1', incarnation: 7, mayLead: true };
const head = { term: 4, leaderId: 'n1', incarnation: 7 };

it.each<[string, Partial<LeadershipInput>, string]>([
  ['head names it', {}, 'take'],
  ['head names somebody else', { head: { ...head, leaderId: 'n2' } }, 'none'],
  ['head names nobody', { head: { ...head, leaderId: null } }, 'none'],
  ['head names an earlier life of it', { head: { ...head, incarnation: 6 } }, 'none'],
  ['it is an observer, or stops', { self: { ...self, mayLead: false } }, 'none'],
  ['it leads that term', { ownTerm: 4 }, 'keep'],
  ['it leads, and head is of a later term', { ownTerm: 3 }, 'leave'],
  ['it leads a term that a read of head from before does not have yet', { ownTerm: 5 }, 'keep'],
  // The database has lost an election: term 5 began, whatever head says now.
  ['head names it in a term below one that was heard of', { highestTerm: 5 }, 'none'],
  ['it leads a term below one that was heard of', { ownTerm: 4, highestTerm: 5 }, 'leave'],
])('%s', (_, differs, office) => {
  expect(decideLeadership({ head, self, ownTerm: undefined, highestTerm: 4, ...differs })).toBe(office);
});
