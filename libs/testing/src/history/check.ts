import { checkLists, checkReads } from './check-reads.js';
import { checkWatches } from './check-watches.js';
import { checkWrites } from './check-writes.js';
import { Knowledge } from './knowledge.js';
import type { History, LoggedChange } from './record.js';
import { Timeline } from './timeline.js';
import type { Violation } from './violation.js';

/**
 * Compares what clients saw with the whole change log, read at the end. Pure: history and log in, violations out.
 * Versions order everything, so the rules are few: each write stands in the log as it was answered, once, after all
 * that was known when it began; each read is the log's state at the version it names; each watcher was told all.
 */
export function checkHistory(history: History, log: readonly LoggedChange[]): Violation[] {
  const timeline = new Timeline(log, history.base);
  const startOf = new Map(history.writes.map((write) => [write.mark, write.startedAt]));
  const known = new Knowledge(facts(history));
  const begun = new Knowledge(
    log.map((change) => [startOf.get(change.comment ?? '') ?? Number.NEGATIVE_INFINITY, change.version]),
  );
  return [
    ...checkLog(history, log, startOf),
    ...checkWrites(history.writes, timeline, known, begun),
    ...checkReads(history.reads, timeline, known),
    ...checkLists(history.lists, timeline),
    ...checkWatches(history.watches, timeline),
  ];
}

/** Every moment at which some client came to know that a version is committed. */
function facts(history: History): [number, number][] {
  const facts: [number, number][] = [];
  for (const { outcome, endedAt } of history.writes) {
    if (outcome.type === 'ok') facts.push([endedAt, outcome.version]);
  }
  for (const { outcome, endedAt } of history.reads) {
    if (outcome.type !== 'error') facts.push([endedAt, outcome.appliedVersion]);
  }
  for (const { version, endedAt } of history.lists) facts.push([endedAt, version]);
  for (const watch of history.watches) {
    for (const event of watch.events) {
      if (event.type === 'change' || event.type === 'bookmark') facts.push([event.at, event.version]);
    }
  }
  return facts;
}

function checkLog(
  history: History,
  log: readonly LoggedChange[],
  marks: ReadonlyMap<string, number>,
): Violation[] {
  const found: Violation[] = [];
  const say = (kind: 'log-broken' | 'invented', detail: string) => found.push({ kind, who: 'log', detail });
  log.forEach((change, i) => {
    const previous = log[i - 1];
    if (change.version !== (previous?.version ?? history.base) + 1) {
      say('log-broken', `version ${change.version} follows ${previous?.version ?? history.base}`);
    }
    if (previous && change.term < previous.term) {
      say('log-broken', `version ${change.version} has term ${change.term} after term ${previous.term}`);
    }
    if (change.comment?.startsWith(history.markPrefix) && !marks.has(change.comment)) {
      say('invented', `version ${change.version} is marked ${change.comment}, which no client sent`);
    }
  });
  return found;
}

/** For a test's message: the first few violations of each kind. */
export function describeViolations(violations: readonly Violation[]): string {
  const byKind = Map.groupBy(violations, (violation) => violation.kind);
  return [...byKind]
    .map(([kind, all]) => {
      const shown = all.slice(0, 5).map((violation) => `  ${violation.who}: ${violation.detail}`);
      return [`${kind}: ${all.length}`, ...shown].join('\n');
    })
    .join('\n');
}
