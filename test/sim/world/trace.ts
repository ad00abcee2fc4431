const LINES_KEPT = 400;

/** What happened in a run: its last lines to be read by people, and a hash over all of it to compare runs by. */
export class Trace {
  private readonly lines: string[] = [];
  private a = 0x811c9dc5;
  private b = 0x9e3779b9;
  lineCount = 0;

  /** Takes a number into the hash. */
  mix(value: number): void {
    this.a = Math.imul(this.a ^ value, 0x01000193);
    this.b = (Math.imul(this.b, 31) + value) | 0;
  }

  line(nowMs: number, who: string, text: string): void {
    this.lineCount++;
    for (let i = 0; i < text.length; i++) this.mix(text.charCodeAt(i));
    if (this.lines.length >= LINES_KEPT * 2) this.lines.splice(0, LINES_KEPT);
    this.lines.push(`${(nowMs / 1_000).toFixed(4).padStart(9)}  ${who.padEnd(5)} ${text}`);
  }

  get hash(): string {
    return [this.a, this.b].map((part) => (part >>> 0).toString(16).padStart(8, '0')).join('');
  }

  tail(count: number): string[] {
    return this.lines.slice(-count);
  }
}
