import { expect, it } from 'vitest';
import { isBeyondHistory } from './beyond-history.ts';

it.each([
  { position: 4, newest: 4, waitedMs: 60_000, beyond: false },
  { position: 3, newest: 4, waitedMs: 60_000, beyond: false },
  { position: 5, newest: 4, waitedMs: 0, beyond: false },
  { position: 5, newest: 4, waitedMs: 9_999, beyond: false },
  { position: 5, newest: 4, waitedMs: 10_000, beyond: true },
  { position: 104, newest: 4, waitedMs: 0, beyond: false },
  { position: 105, newest: 4, waitedMs: 0, beyond: true },
  { position: 3134, newest: 4, waitedMs: 0, beyond: true },
])('report 7: a watch at $position, the history ending at $newest, after $waitedMs ms: $beyond', (it) => {
  expect(isBeyondHistory(it.position, it.newest, it.waitedMs)).toBe(it.beyond);
});
