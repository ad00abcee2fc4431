import { parse, TomlError } from 'smol-toml';
import { MAX_DEPTH, tooDeep, type ValueFault } from './value-fault.ts';

const MAX_INTEGER = 2n ** 63n - 1n;
const MIN_INTEGER = -(2n ** 63n);
const DATE = /(?<![\w.:+-])(\d{4})-(?:(\d\d)-(\d\d))?/g;

/** Whether a text is a TOML 1.1 document. What differs on purpose: docs/value-formats.md. */
export function checkToml(text: string): ValueFault | undefined {
  const fault = faultOf(text);
  if (fault !== undefined) return fault;
  // The parser takes 30 February for a day in March, and reads `1979-.5-27`. With an underscore in the place of the dash
  // that is no value any more, while it remains what it is in a key, a string or a comment.
  const impossible = text.replace(DATE, (start, year: string, month?: string, day?: string) =>
    isDay(Number(year), Number(month), Number(day)) ? start : start.replace('-', '_'),
  );
  return impossible === text ? undefined : faultOf(impossible);
}

function faultOf(text: string): ValueFault | undefined {
  try {
    const reason = treeFault(parse(text, { maxDepth: MAX_DEPTH, integersAsBigInt: 'asNeeded' }));
    return reason === undefined ? undefined : { reason, line: null, column: null };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    return { reason: reasonOf(error), line: error.line, column: error.column };
  }
}

/** The message without the excerpt of the text that follows it. */
function reasonOf(error: TomlError): string {
  const [first = ''] = error.message.split('\n', 1);
  return first.replace(/^Invalid TOML document: /, '');
}

/** Dotted keys and headers nest without nested text, which the parser's own limit does not see. */
function treeFault(root: object): string | undefined {
  let level: object[] = [root];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) return tooDeep();
    const next: object[] = [];
    for (const node of level) {
      for (const child of Object.values(node)) {
        if (typeof child === 'bigint' && (child > MAX_INTEGER || child < MIN_INTEGER)) {
          return 'an integer does not fit into 64 bits';
        }
        if (typeof child === 'object' && child !== null && !(child instanceof Date)) next.push(child);
      }
    }
    level = next;
  }
  return undefined;
}

function isDay(year: number, month: number, day: number): boolean {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}
