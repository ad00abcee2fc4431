/** When the head reached which version: what makes a lag in versions one in time. */
const MAX_SAMPLES = 600;

export class HeadTimes {
  private samples: { version: number; atMs: number }[] = [];

  /** A head that went back takes what it lost with it. */
  note(version: number, atMs: number): void {
    while ((this.samples.at(-1)?.version ?? -1) > version) this.samples.pop();
    if (this.samples.at(-1)?.version === version) return;
    this.samples.push({ version, atMs });
    if (this.samples.length > MAX_SAMPLES) this.samples.shift();
  }

  /** When the head was first seen beyond `version`, as far as memory reaches; undefined while it is not. */
  passedAtMs(version: number): number | undefined {
    let low = 0;
    let high = this.samples.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.samples[middle]?.version ?? 0) > version) high = middle;
      else low = middle + 1;
    }
    return this.samples[low]?.atMs;
  }
}
