import { Problem } from '#libs/contracts';
import type { Precondition, WriteOperation } from './write.js';

/** The version that stands at a key now; undefined = there is none. */
export interface Versions {
  versionAt(namespace: string, key: string): number | undefined;
}

/** Memory as it will be once the earlier members of the batch are committed. */
export class PendingView implements Versions {
  private readonly changed = new Map<string, number | undefined>();

  constructor(private readonly memory: Versions) {}

  versionAt(namespace: string, key: string): number | undefined {
    const id = `${namespace}\n${key}`;
    return this.changed.has(id) ? this.changed.get(id) : this.memory.versionAt(namespace, key);
  }

  change(operations: readonly WriteOperation[], version: number): void {
    for (const { op, namespace, key } of operations) {
      this.changed.set(`${namespace}\n${key}`, op === 'put' ? version : undefined);
    }
  }
}

/** Whether the write may happen: per operation whether it creates its key, or why not. */
export function decide(operations: readonly WriteOperation[], memory: Versions): boolean[] | Problem {
  const created: boolean[] = [];
  for (const operation of operations) {
    const { op, namespace, key, condition } = operation;
    const current = memory.versionAt(namespace, key);
    if (op === 'delete' && current === undefined) {
      return new Problem('key-not-found', `there is no key '${key}' in '${namespace}'`, { namespace, key });
    }
    if (condition !== undefined && !holds(condition, current)) {
      return new Problem('precondition-failed', explain(condition, current), {
        namespace,
        key,
        currentVersion: current ?? null,
      });
    }
    created.push(op === 'put' && current === undefined);
  }
  return created;
}

function holds(condition: Precondition, current: number | undefined): boolean {
  switch (condition.type) {
    case 'version':
      return current === condition.version;
    case 'exists':
      return current !== undefined;
    case 'absent':
      return current === undefined;
    case 'unmeetable':
      return false;
  }
}

function explain(condition: Precondition, current: number | undefined): string {
  const now = current === undefined ? 'the key does not exist' : `the key is at version ${current}`;
  switch (condition.type) {
    case 'version':
      return `the key had to be at version ${condition.version}: ${now}`;
    case 'exists':
      return `the key had to exist: ${now}`;
    case 'absent':
      return `the key had to be absent: ${now}`;
    case 'unmeetable':
      return `${condition.why}; ${now}`;
  }
}
