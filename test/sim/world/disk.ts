/** What one node keeps on its disk; it survives the process. */
export class Disk {
  private readonly files = new Map<string, Buffer>();
  /** Changes that nodes set aside before they discarded them. */
  readonly discarded: number[] = [];

  read(name: string): Buffer | undefined {
    return this.files.get(name);
  }

  /** Atomic, and on the disk when it returns. */
  write(name: string, bytes: Buffer): void {
    this.files.set(name, bytes);
  }

  rename(from: string, to: string): void {
    const bytes = this.files.get(from);
    if (bytes === undefined) return;
    this.files.delete(from);
    this.files.set(to, bytes);
  }

  remove(name: string): void {
    this.files.delete(name);
  }

  has(name: string): boolean {
    return this.files.has(name);
  }

  /** Another disk in its place. */
  wipe(): void {
    this.files.clear();
  }

  /** A file of which only a part is left, or of which a byte has changed. */
  damage(name: string, how: 'torn' | 'flipped', at: number): void {
    const bytes = this.files.get(name);
    if (bytes === undefined || bytes.length === 0) return;
    const where = Math.min(bytes.length - 1, Math.floor(at * bytes.length));
    if (how === 'torn') {
      this.files.set(name, Buffer.from(bytes.subarray(0, where)));
      return;
    }
    const changed = Buffer.from(bytes);
    changed[where] = (changed[where] ?? 0) ^ 0x5a;
    this.files.set(name, changed);
  }
}
