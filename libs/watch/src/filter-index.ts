import type { Change } from '#libs/contracts';
import type { WatchFilter } from './domain/watch-filter.js';

/** All who watch the same keys: an event is encoded once for them. */
export class FilterGroup<Member> {
  readonly members = new Set<Member>();

  constructor(readonly filter: WatchFilter) {}
}

/** Finds those whom a change may concern without asking each watcher: by namespace. */
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

  /** The groups of the namespaces that the changes touch: whether a change concerns one is still to be looked at. */
  candidates(changes: readonly Change[]): Set<FilterGroup<Member>> {
    const candidates = new Set<FilterGroup<Member>>();
    const namespaces = new Set<string>();
    for (const { operations } of changes) for (const { namespace } of operations) namespaces.add(namespace);
    for (const namespace of namespaces) {
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
