import type { LoggedChange, LoggedOperation } from './record.js';

interface KeyState {
  version: number;
  /** undefined = deleted at that version. */
  value: string | undefined;
}

/** The change log, indexed: what stood under a key at any version. */
export class Timeline {
  private readonly byVersion = new Map<number, LoggedChange>();
  private readonly byMark = new Map<string, LoggedChange[]>();
  private readonly byKey = new Map<string, KeyState[]>();
  private readonly keysOf = new Map<string, Set<string>>();
  readonly head: number;

  readonly log: readonly LoggedChange[];

  /** `log` begins after version `base`. */
  constructor(log: readonly LoggedChange[], base: number) {
    this.log = log;
    for (const change of log) {
      this.byVersion.set(change.version, change);
      if (change.comment !== null) {
        const same = this.byMark.get(change.comment);
        if (same) same.push(change);
        else this.byMark.set(change.comment, [change]);
      }
      for (const operation of change.operations) this.remember(change.version, operation);
    }
    this.head = log.at(-1)?.version ?? base;
  }

  change(version: number): LoggedChange | undefined {
    return this.byVersion.get(version);
  }

  marked(mark: string): readonly LoggedChange[] {
    return this.byMark.get(mark) ?? [];
  }

  /** The value under a key when `version` was the newest change, with the version that put it there. */
  valueAt(namespace: string, key: string, version: number): { value: string; version: number } | undefined {
    const states = this.byKey.get(keyId(namespace, key));
    if (!states) return undefined;
    let low = 0;
    let high = states.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((states[middle]?.version ?? 0) <= version) low = middle + 1;
      else high = middle;
    }
    const state = states[low - 1];
    return state?.value === undefined ? undefined : { value: state.value, version: state.version };
  }

  /** Keys that a listing at `version` shows. */
  listAt(
    namespace: string,
    prefix: string,
    version: number,
  ): { key: string; value: string; version: number }[] {
    const keys = [...(this.keysOf.get(namespace) ?? [])].filter((key) => key.startsWith(prefix));
    return keys.flatMap((key) => {
      const found = this.valueAt(namespace, key, version);
      return found ? [{ key, ...found }] : [];
    });
  }

  private remember(version: number, operation: LoggedOperation): void {
    const id = keyId(operation.namespace, operation.key);
    const state = { version, value: operation.op === 'put' ? operation.value : undefined };
    const states = this.byKey.get(id);
    if (states) states.push(state);
    else this.byKey.set(id, [state]);
    const keys = this.keysOf.get(operation.namespace);
    if (keys) keys.add(operation.key);
    else this.keysOf.set(operation.namespace, new Set([operation.key]));
  }
}

function keyId(namespace: string, key: string): string {
  return `${namespace}\0${key}`;
}
