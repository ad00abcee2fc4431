/**
 * More structure than any request has. A body is scanned for it before it is parsed, because a few megabytes of
 * brackets keep JSON.parse busy for longer than an event loop may stand still.
 */
export interface JsonBounds {
  depth: number;
  /** Brackets, braces, commas and colons outside of strings. */
  tokens: number;
}

/** Where an object or array within the second nesting begins, and where it ends (exclusive). */
export interface JsonSpan {
  start: number;
  end: number;
}

const QUOTE = 1;
const BACKSLASH = 2;
const OPENS = 3;
const CLOSES = 4;
const SEPARATES = 5;
/** What a byte means to the scan; 0 = nothing. */
const MEANING = new Uint8Array(256);
for (const [bytes, meaning] of [
  ['"', QUOTE],
  ['\\', BACKSLASH],
  ['[{', OPENS],
  [']}', CLOSES],
  [',:', SEPARATES],
] as const) {
  for (const byte of bytes) MEANING[byte.charCodeAt(0)] = meaning;
}

/** In the body of a request: 1 is the body's own object, 2 a list in it, 3 an item of the list. */
const ITEM_DEPTH = 3;

/**
 * Looks through a JSON text in steps of as many bytes as the caller chooses. Whether it is JSON at all, the parser
 * says: the scan counts, and notes where the items of lists lie, so that they can be parsed one by one.
 */
export class JsonScan {
  readonly items: JsonSpan[] = [];
  private at = 0;
  private depth = 0;
  private tokens = 0;
  private inString = false;
  private itemStart = 0;

  constructor(
    private readonly body: Buffer,
    private readonly bounds: JsonBounds,
  ) {}

  get isOver(): boolean {
    return this.at >= this.body.length;
  }

  /** Goes on for so many bytes. False = the body is beyond its bounds: it need not be scanned any further. */
  scan(bytes: number): boolean {
    const end = Math.min(this.body.length, this.at + bytes);
    while (this.at < end) {
      if (this.inString) this.skipString(end);
      else if (!this.structure(end)) return false;
    }
    return true;
  }

  /** Up to the next string, or the end of the step. */
  private structure(end: number): boolean {
    const { body, bounds } = this;
    let { at } = this;
    while (at < end) {
      const meaning = MEANING[body[at] as number];
      at += 1;
      if (meaning === 0 || meaning === BACKSLASH) continue;
      if (meaning === QUOTE) {
        this.inString = true;
        break;
      }
      if (meaning === CLOSES) this.close(at);
      else {
        this.tokens += 1;
        if (meaning === OPENS) this.open(at - 1);
      }
      if (this.depth > bounds.depth || this.tokens > bounds.tokens) return false;
    }
    this.at = at;
    return true;
  }

  /** Up to the byte after the closing quote, or the end of the step (one byte further after a backslash). */
  private skipString(end: number): void {
    const { body } = this;
    let { at } = this;
    while (at < end) {
      const meaning = MEANING[body[at] as number];
      at += 1;
      if (meaning === BACKSLASH) at += 1;
      else if (meaning === QUOTE) {
        this.inString = false;
        break;
      }
    }
    this.at = at;
  }

  private open(at: number): void {
    this.depth += 1;
    if (this.depth === ITEM_DEPTH) this.itemStart = at;
  }

  private close(end: number): void {
    if (this.depth === ITEM_DEPTH) this.items.push({ start: this.itemStart, end });
    this.depth -= 1;
  }
}
