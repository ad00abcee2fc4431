import type { Knowledge } from './knowledge.js';
import type { ListRecord, ReadRecord } from './record.js';
import type { Timeline } from './timeline.js';
import type { Violation, ViolationKind } from './violation.js';

/** Each answer must be the state at the version it names; that version must be as new as the read demanded. */
export function checkReads(reads: readonly ReadRecord[], timeline: Timeline, known: Knowledge): Violation[] {
  return reads.flatMap((read) => checkRead(read, timeline, known));
}

function checkRead(read: ReadRecord, timeline: Timeline, known: Knowledge): Violation[] {
  const { outcome } = read;
  if (outcome.type === 'error') return [];
  const found: Violation[] = [];
  const say = (kind: ViolationKind, detail: string) =>
    found.push({ kind, who: read.client, detail: `read of '${read.key}': ${detail}` });

  const truth = timeline.valueAt(read.namespace, read.key, outcome.appliedVersion);
  const at = `at version ${outcome.appliedVersion}`;
  if (outcome.appliedVersion > timeline.head) say('wrong-read', `${at}, which the log does not have`);
  else if (outcome.type === 'absent') {
    if (truth) say('wrong-read', `absent ${at}, the log has it from version ${truth.version}`);
  } else if (truth?.version !== outcome.keyVersion || truth.value !== outcome.value) {
    say('wrong-read', `version ${outcome.keyVersion} ${at}, the log has ${truth?.version ?? 'nothing'}`);
  }
  if (read.minVersion !== undefined && outcome.appliedVersion < read.minVersion) {
    say('went-back', `${at}, although at least ${read.minVersion} was demanded`);
  }
  const seen = known.before(read.startedAt);
  if (read.linearizable && outcome.appliedVersion < seen) {
    say('stale-linearizable-read', `${at}, although version ${seen} was known before it began`);
  }
  return found;
}

export function checkLists(lists: readonly ListRecord[], timeline: Timeline): Violation[] {
  return lists.flatMap((list): Violation[] => {
    const truth = new Map(
      timeline.listAt(list.namespace, list.prefix, list.version).map((item) => [item.key, item] as const),
    );
    const same =
      truth.size === list.items.length &&
      list.items.every((item) => {
        const expected = truth.get(item.key);
        return expected?.value === item.value && expected.version === item.version;
      });
    if (same) return [];
    const detail = `list of '${list.prefix}' at version ${list.version} differs from the log`;
    return [{ kind: 'wrong-read', who: list.client, detail }];
  });
}
