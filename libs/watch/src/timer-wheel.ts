const SLOTS = 16;

/** Gives every member a turn once in `SLOTS` ticks, the same number of them at each tick, with one timer for all. */
export class TimerWheel<Member> {
  private readonly slots = Array.from({ length: SLOTS }, () => new Set<Member>());
  private readonly slotOf = new Map<Member, Set<Member>>();
  private next = 0;
  private current = 0;

  add(member: Member): void {
    const slot = this.slots[this.next];
    if (slot === undefined) return;
    this.next = (this.next + 1) % SLOTS;
    slot.add(member);
    this.slotOf.set(member, slot);
  }

  remove(member: Member): void {
    this.slotOf.get(member)?.delete(member);
    this.slotOf.delete(member);
  }

  /** Whose turn it is at this tick. */
  advance(): Member[] {
    const due = [...(this.slots[this.current] ?? [])];
    this.current = (this.current + 1) % SLOTS;
    return due;
  }
}
