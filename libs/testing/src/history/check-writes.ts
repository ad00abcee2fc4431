import type { Knowledge } from './knowledge.js';
import type { Condition, LoggedChange, LoggedOperation, WriteRecord, WrittenOperation } from './record.js';
import type { Timeline } from './timeline.js';
import type { Violation, ViolationKind } from './violation.js';

/** `known`: highest version that any client had seen before a moment. `begun`: highest version whose write had been started. */
export function checkWrites(
  writes: readonly WriteRecord[],
  timeline: Timeline,
  known: Knowledge,
  begun: Knowledge,
): Violation[] {
  return writes.flatMap((write) => checkWrite(write, timeline, known, begun));
}

function checkWrite(write: WriteRecord, timeline: Timeline, known: Knowledge, begun: Knowledge): Violation[] {
  const found: Violation[] = [];
  const say = (kind: ViolationKind, detail: string) =>
    found.push({ kind, who: write.client, detail: `write ${write.mark}: ${detail}` });
  const { outcome } = write;
  const effects = timeline.marked(write.mark);
  const [effect] = effects;

  if (effects.length > 1) say('doubled', `stands at versions ${effects.map((e) => e.version).join(', ')}`);
  if (outcome.type === 'ok' && !effect) {
    say('lost', `was acknowledged as version ${outcome.version} and is not in the log`);
  }
  if (outcome.type === 'refused' && effect) {
    say('refused-but-took-effect', `${outcome.status} ${outcome.code}, yet it is version ${effect.version}`);
  }
  if (outcome.type === 'refused') {
    const fault = refusalFault(write, outcome.code, timeline, known, begun);
    if (fault) say('unjustified-refusal', fault);
  }
  if (!effect) return found;

  if (outcome.type === 'ok' && !effects.some((e) => e.version === outcome.version)) {
    say('altered', `was acknowledged as version ${outcome.version}, the log has it at ${effect.version}`);
  }
  if (!sameOperations(write.operations, effect.operations)) {
    say('altered', `version ${effect.version} has other operations than were sent`);
  }
  const seen = known.before(write.startedAt);
  if (effect.version <= seen) {
    say('reordered', `began when version ${seen} was known, yet it became version ${effect.version}`);
  }
  for (const fault of conditionFaults(write, effect, timeline)) say('condition-broken', fault);
  return found;
}

function conditionFaults(write: WriteRecord, effect: LoggedChange, timeline: Timeline): string[] {
  const faults: string[] = [];
  for (const operation of write.operations) {
    const before = timeline.valueAt(operation.namespace, operation.key, effect.version - 1);
    if (operation.condition && !holds(operation.condition, before?.version)) {
      faults.push(`${describe(operation.condition)} did not hold before version ${effect.version}`);
    }
    if (operation.op === 'delete' && !before) {
      faults.push(`deleted '${operation.key}', which did not exist before version ${effect.version}`);
    }
  }
  const [only] = write.operations;
  if (write.outcome.type === 'ok' && write.outcome.created !== undefined && only) {
    const existed = timeline.valueAt(only.namespace, only.key, effect.version - 1) !== undefined;
    if (write.outcome.created === existed) {
      faults.push(`was answered as ${existed ? 'created' : 'replaced'} at version ${effect.version}`);
    }
  }
  return faults;
}

/** A 412 or 404 must have been true at some version between what was known at its start and what had begun at its end. */
function refusalFault(
  write: WriteRecord,
  code: string,
  timeline: Timeline,
  known: Knowledge,
  begun: Knowledge,
): string | undefined {
  if (code !== 'precondition-failed' && code !== 'key-not-found') return undefined;
  const from = known.before(write.startedAt);
  const to = Math.max(from, begun.before(write.endedAt));
  for (let version = from; version <= to; version++) {
    const fails = write.operations.some((operation) => {
      const present = timeline.valueAt(operation.namespace, operation.key, version);
      if (code === 'key-not-found') return operation.op === 'delete' && !present;
      return operation.condition !== undefined && !holds(operation.condition, present?.version);
    });
    if (fails) return undefined;
  }
  return `${code}, yet the condition held at every version from ${from} to ${to}`;
}

function holds(condition: Condition, presentVersion: number | undefined): boolean {
  switch (condition.type) {
    case 'version':
      return (presentVersion ?? 0) === condition.version;
    case 'exists':
      return presentVersion !== undefined;
    case 'absent':
      return presentVersion === undefined;
  }
}

function describe(condition: Condition): string {
  return condition.type === 'version'
    ? `the condition 'version ${condition.version}'`
    : `'${condition.type}'`;
}

export function sameOperations(
  expected: readonly (WrittenOperation | LoggedOperation)[],
  actual: readonly LoggedOperation[],
): boolean {
  return (
    expected.length === actual.length &&
    expected.every((wanted, i) => {
      const got = actual[i];
      if (!got || wanted.op !== got.op || wanted.namespace !== got.namespace || wanted.key !== got.key) {
        return false;
      }
      return wanted.op === 'delete' || got.op === 'delete' || wanted.value === got.value;
    })
  );
}
