import { faultAt, type ValueFault } from './value-fault.ts';

const LINE = /([ \t\f]*)([^\r\n]*)(?:\r\n|\r|\n|$)/y;
const HEX = /[0-9a-fA-F]/;

/**
 * Java properties: nearly any text is some. What `Properties.load` refuses is a \u without four hex digits, outside
 * of comments. A line that ends in a backslash goes on after the white space of the next one, amid a \u too.
 */
export function checkProperties(text: string): ValueFault | undefined {
  const escapes = new UnicodeEscapes();
  let isBegun = false; // a logical line, by a character at least
  for (let at = 0; at < text.length; at = LINE.lastIndex) {
    LINE.lastIndex = at;
    const [, space = '', line = ''] = LINE.exec(text) ?? [];
    if (!isBegun && (line === '' || line.startsWith('#') || line.startsWith('!'))) continue;
    const goesOn = escapes.read(line, at + space.length);
    isBegun = goesOn && (isBegun || line.length > 1);
    if (!goesOn) escapes.end();
    if (escapes.badAt !== undefined) return faultAt(text, escapes.badAt, 'four hex digits follow \\u');
  }
  escapes.end();
  return escapes.badAt === undefined ? undefined : faultAt(text, escapes.badAt, 'four hex digits follow \\u');
}

/** Follows the escapes of one logical line, which several lines may form. */
class UnicodeEscapes {
  badAt: number | undefined;
  private begunAt = 0;
  /** Hex digits that are still to come. */
  private digits = 0;

  /** Whether the line goes on in the next one. `offset` is the line's in the text. */
  read(line: string, offset: number): boolean {
    for (let at = 0; at < line.length; at++) {
      if (line[at] === '\\') {
        at += 1;
        if (at === line.length) return true;
        if (this.digits > 0) this.fail();
        if (line[at] !== 'u') continue;
        this.begunAt = offset + at - 1;
        this.digits = 4;
      } else if (this.digits > 0) {
        if (HEX.test(line[at] ?? '')) this.digits -= 1;
        else this.fail();
      }
    }
    return false;
  }

  end(): void {
    if (this.digits > 0) this.fail();
  }

  private fail(): void {
    this.badAt ??= this.begunAt;
    this.digits = 0;
  }
}
