import { sameOperations } from './check-writes.js';
import type { LoggedChange, LoggedOperation, WatchRecord } from './record.js';
import type { Timeline } from './timeline.js';
import type { Violation, ViolationKind } from './violation.js';

/** Every watcher must have seen each matching change once, in order, whole, up to the end of the log. */
export function checkWatches(watches: readonly WatchRecord[], timeline: Timeline): Violation[] {
  return watches.flatMap((watch) => checkWatch(watch, timeline));
}

function checkWatch(watch: WatchRecord, timeline: Timeline): Violation[] {
  const found: Violation[] = [];
  const say = (kind: ViolationKind, detail: string) => found.push({ kind, who: watch.watcher, detail });
  const matching = timeline.log.flatMap((change) => {
    const operations = matchingOperations(watch, change);
    return operations.length > 0 ? [{ version: change.version, operations }] : [];
  });

  // `seen`: everything up to it has been told. `next` walks along the matching changes.
  let seen: number | undefined;
  let next = 0;
  const advance = (version: number, told: boolean) => {
    for (let due = matching[next]; due && due.version <= version; due = matching[++next]) {
      if (told && due.version === version) continue;
      say('watch-missed', `version ${due.version} was passed over on the way to ${version}`);
    }
  };
  const begin = (version: number) => {
    seen = version;
    while ((matching[next]?.version ?? Number.POSITIVE_INFINITY) <= version) next++;
  };

  for (const event of watch.events) {
    if (event.type === 'connected') {
      if (event.from !== null && seen === undefined) begin(event.from);
      continue;
    }
    if (event.type === 'reset') {
      say('watch-reset', `was reset at version ${event.version} (${event.reason})`);
      begin(event.version);
      continue;
    }
    if (seen === undefined) {
      begin(event.type === 'bookmark' ? event.version : event.version - 1);
    }
    const before = seen ?? 0;
    if (event.version < before || (event.type === 'change' && event.version === before)) {
      say('watch-repeated', `${event.type} ${event.version} came after ${before}`);
      continue;
    }
    if (event.type === 'change') {
      const change = timeline.change(event.version);
      if (!change || !sameOperations(matchingOperations(watch, change), event.operations)) {
        say('watch-altered', `version ${event.version} is not what the log has`);
      }
    }
    advance(event.version, event.type === 'change');
    seen = event.version;
  }
  if ((seen ?? 0) < timeline.head) {
    say('watch-behind', `ended at version ${seen ?? 'none'}, the log at ${timeline.head}`);
  }
  return found;
}

function matchingOperations(
  watch: { namespace: string; prefix: string },
  change: LoggedChange,
): LoggedOperation[] {
  return change.operations.filter(
    (operation) => operation.namespace === watch.namespace && operation.key.startsWith(watch.prefix),
  );
}
