/** Highest version among facts up to a moment: `[at, version]` pairs in, answered by binary search. */
export class Knowledge {
  private readonly at: number[] = [];
  private readonly highest: number[] = [];

  constructor(facts: (readonly [at: number, version: number])[]) {
    facts.sort((a, b) => a[0] - b[0]);
    let highest = 0;
    for (const [at, version] of facts) {
      highest = Math.max(highest, version);
      this.at.push(at);
      this.highest.push(highest);
    }
  }

  /** The highest version of a fact from before `moment` (strictly); 0 when there is none. */
  before(moment: number): number {
    let low = 0;
    let high = this.at.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.at[middle] ?? 0) < moment) low = middle + 1;
      else high = middle;
    }
    return this.highest[low - 1] ?? 0;
  }
}
