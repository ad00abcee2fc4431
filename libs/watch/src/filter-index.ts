import type { Change } from '#libs/contracts';
import { concerns, type WatchFilter } from './domain/watch-filter.js';

/** All who watch the same keys: an event is encoded once for them. */
export class FilterGroup<Member> {
  readonly members = new Set<Member>();

  constructor(readonly filter: WatchFilter) {}
}

/** Finds who is concerned by a change without asking each watcher: by namespace first, then by filter. */
export class FilterIndex<Member> {
  private readonly groups = new Map<string, FilterGroup<Member>>();
  private readonly byNamespace = new Map<string, Set<FilterGroup<Member>>>();

  add(filter: WatchFilter, member: Member): void {
    let group = this.groups.get(filter.id);
    if (group === undefined) {
      group = new FilterGroup(filter);
      this.groups.set(filter.id, group);
      for (const { namespace } of filter.parts) this.groupsOf(namespace).add(group);
    }
    group.members.add(member);
  }

  remove(filter: WatchFilter, member: Member): void {
    const group = this.groups.get(filter.id);
    if (group === undefined || !group.members.delete(member) || group.members.size > 0) return;
    this.groups.delete(filter.id);
    for (const { namespace } of filter.parts) {
      const groups = this.byNamespace.get(namespace);
      groups?.delete(group);
      if (groups?.size === 0) this.byNamespace.delete(namespace);
    }
  }

  /** The groups that the changes concern, each with those of the changes that do, in order. */
  concerned(changes: readonly Change[]): Map<FilterGroup<Member>, Change[]> {
    const found = new Map<FilterGroup<Member>, Change[]>();
    for (const change of changes) {
      for (const group of this.candidates(change)) {
        if (!concerns(group.filter, change)) continue;
        const list = found.get(group);
        if (list === undefined) found.set(group, [change]);
        else list.push(change);
      }
    }
    return found;
  }

  private candidates(change: Change): Iterable<FilterGroup<Member>> {
    const [first] = change.operations;
    if (first === undefined) return [];
    if (change.operations.length === 1) return this.byNamespace.get(first.namespace) ?? [];
    const candidates = new Set<FilterGroup<Member>>();
    for (const namespace of new Set(change.operations.map((operation) => operation.namespace))) {
      for (const group of this.byNamespace.get(namespace) ?? []) candidates.add(group);
    }
    return candidates;
  }

  private groupsOf(namespace: string): Set<FilterGroup<Member>> {
    let groups = this.byNamespace.get(namespace);
    if (groups === undefined) {
      groups = new Set();
      this.byNamespace.set(namespace, groups);
    }
    return groups;
  }
}
