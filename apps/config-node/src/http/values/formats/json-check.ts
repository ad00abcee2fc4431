import { faultAt, MAX_DEPTH, tooDeep, type ValueFault } from './value-fault.ts';

/**
 * Whether a text is one JSON value (RFC 8259), and where it ceases to be. It accepts what JSON.parse accepts, which
 * does not say where it failed; it builds nothing, so that a hostile value costs no memory.
 */
export function checkJson(text: string): ValueFault | undefined {
  return new JsonCheck(text).check();
}

type Expect = 'value' | 'value-or-end' | 'key' | 'key-or-end' | 'comma-or-end' | 'done';

class JsonCheck {
  // No parameter property: Node runs this file without a build, and only removes types.
  private readonly text: string;
  private at = 0;
  /** `{` or `[` for each level that is open. */
  private readonly open: string[] = [];
  private reason: string | undefined;

  constructor(text: string) {
    this.text = text;
  }

  check(): ValueFault | undefined {
    if (this.text.startsWith(BYTE_ORDER_MARK)) {
      return faultAt(this.text, 0, 'the text begins with a byte order mark (BOM), which JSON does not allow');
    }
    let expect: Expect = 'value';
    while (expect !== 'done') {
      this.space();
      expect = this.step(expect);
      if (this.reason !== undefined) return faultAt(this.text, this.at, this.reason);
    }
    this.space();
    if (this.at < this.text.length) return faultAt(this.text, this.at, 'nothing may follow the value');
    return undefined;
  }

  private step(expect: Expect): Expect {
    const char = this.text[this.at];
    if (char === undefined) return this.fail('the value ends too early');
    switch (expect) {
      case 'value-or-end':
        return char === ']' ? this.closes() : this.value(char);
      case 'key-or-end':
        return char === '}' ? this.closes() : this.key(char);
      case 'key':
        return this.key(char);
      case 'comma-or-end':
        return this.afterValue(char);
      default:
        return this.value(char);
    }
  }

  private value(char: string): Expect {
    if (char === '{' || char === '[') {
      if (this.open.length >= MAX_DEPTH) return this.fail(tooDeep());
      this.open.push(char);
      this.at += 1;
      return char === '{' ? 'key-or-end' : 'value-or-end';
    }
    if (char === '"') return this.string() ? this.closed() : 'done';
    return this.scalar();
  }

  private key(char: string): Expect {
    if (char !== '"') return this.fail('a key in double quotes is expected');
    if (!this.string()) return 'done';
    this.space();
    if (this.text[this.at] !== ':') return this.fail("':' is expected after a key");
    this.at += 1;
    return 'value';
  }

  private afterValue(char: string): Expect {
    const inObject = this.open.at(-1) === '{';
    if (char === ',') {
      this.at += 1;
      return inObject ? 'key' : 'value';
    }
    if (char === (inObject ? '}' : ']')) return this.closes();
    return this.fail(inObject ? "',' or '}' is expected" : "',' or ']' is expected");
  }

  private closes(): Expect {
    this.open.pop();
    this.at += 1;
    return this.closed();
  }

  private closed(): Expect {
    return this.open.length === 0 ? 'done' : 'comma-or-end';
  }

  private scalar(): Expect {
    SCALAR.lastIndex = this.at;
    const match = SCALAR.exec(this.text);
    if (match === null) return this.fail('a value is expected');
    this.at = SCALAR.lastIndex;
    return this.closed();
  }

  private string(): boolean {
    for (let at = this.at + 1; at < this.text.length; at++) {
      const code = this.text.charCodeAt(at);
      if (code === QUOTE) {
        this.at = at + 1;
        return true;
      }
      if (code < SPACE) return this.failString(at, 'a control character in a string must be escaped');
      if (code !== BACKSLASH) continue;
      const escaped = this.text[at + 1] ?? '';
      if (escaped === 'u') {
        if (!HEX4.test(this.text.slice(at + 2, at + 6)))
          return this.failString(at, 'four hex digits follow \\u');
        at += 5;
      } else if (ESCAPES.includes(escaped) && escaped !== '') at += 1;
      else return this.failString(at, 'this escape does not exist');
    }
    return this.failString(this.text.length, 'a string is not closed');
  }

  private space(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== SPACE && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at += 1;
    }
  }

  private failString(at: number, reason: string): boolean {
    this.at = at;
    this.reason = reason;
    return false;
  }

  private fail(reason: string): Expect {
    this.reason = reason;
    return 'done';
  }
}

const BYTE_ORDER_MARK = '\ufeff';
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const ESCAPES = '"\\/bfnrt';
const HEX4 = /^[0-9a-fA-F]{4}$/;
/** What may stand before a delimiter, so that `01` or `truex` is refused at its end. */
const SCALAR = /(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?=[\s,\]}]|$)/y;
