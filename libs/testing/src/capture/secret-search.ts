/** The forms in which a secret could stand in traffic: as text, as hex, and within base64 at any offset. */
export function secretForms(secret: string): Buffer[] {
  const bytes = Buffer.from(secret);
  const texts = new Set([secret, bytes.toString('hex'), bytes.toString('hex').toUpperCase()]);
  for (const before of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(before), bytes]);
    // The characters at both ends depend on what stands around the secret.
    const from = Math.ceil((before * 8) / 6);
    const to = Math.floor((shifted.length * 8) / 6);
    for (const encoding of ['base64', 'base64url'] as const) {
      texts.add(shifted.toString(encoding).slice(from, to));
    }
  }
  return [...texts].map((text) => Buffer.from(text));
}

/** Counts how often a secret stands in a stream of bytes, wherever its chunks end. */
export class SecretSearch {
  hits = 0;
  sizeBytes = 0;
  private readonly forms: readonly Buffer[];
  private readonly overlapBytes: number;
  private tail = Buffer.alloc(0);

  constructor(secret: string) {
    this.forms = secretForms(secret);
    this.overlapBytes = Math.max(...this.forms.map((form) => form.length)) - 1;
  }

  push(chunk: Buffer): void {
    this.sizeBytes += chunk.length;
    const text = Buffer.concat([this.tail, chunk]);
    for (const form of this.forms) {
      // What lies within the tail alone was counted before.
      const first = Math.max(0, this.tail.length - form.length + 1);
      for (let at = text.indexOf(form, first); at >= 0; at = text.indexOf(form, at + 1)) this.hits += 1;
    }
    this.tail = text.subarray(Math.max(0, text.length - this.overlapBytes));
  }
}
