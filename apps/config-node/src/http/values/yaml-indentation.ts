import { FAILSAFE_SCHEMA, loadAll, Type, YAMLException } from 'js-yaml-4';
import { MAX_DEPTH, type ValueFault } from './value-fault.ts';

/**
 * YAML's grammar wants every line of a flow collection or a quoted scalar indented deeper than the block around it.
 * libyaml, PyYAML, go-yaml and js-yaml 4 do not care, and files in use rely on that:
 *
 *     volumes: [
 *       data
 *     ]
 *
 * js-yaml 5 cares. So js-yaml 4 finds where such nodes begin and end, their lines are indented as the grammar wants,
 * which changes no meaning, and js-yaml 5 judges the result by all its other rules.
 */
export interface IndentedYaml {
  text: string;
  /** The place in the original text. */
  original(fault: ValueFault): ValueFault;
}

/** Indenting may make a text larger than any value is. */
const MAX_CHARS = 4 * 1024 * 1024;
const ANY_TAG = ['!', 'tag:'].flatMap((prefix) =>
  (['scalar', 'sequence', 'mapping'] as const).map((kind) => new Type(prefix, { kind, multi: true })),
);
const SCHEMA = FAILSAFE_SCHEMA.extend(ANY_TAG);
const CLOSED = /[\]}"']/;
const LINE = /[^\r\n]*(?:\r\n|\r|\n|$)/y;
/** What stands before the first key or scalar of a line: no block collection on it begins further to the right. */
const BLOCK_INDENT = /^ *(?:[-?:][ \t]+)*/;
/** Of documents: they end or begin one only at the margin, inside of nodes too. */
const MARKER = /^(?:---|\.\.\.)(?:\s|$)/;

interface Span {
  start: number;
  end: number;
}

/** The fault that js-yaml 4 finds, or undefined when the text would become too large. */
export function indentYaml(text: string): IndentedYaml | ValueFault | undefined {
  const spans = multilineNodes(text);
  if (!Array.isArray(spans)) return spans;
  const pads: number[] = [];
  const lines: string[] = [];
  let chars = 0;
  let next = 0;
  let span = spans[next];
  let pad = 0;
  for (let at = 0; at < text.length; at = LINE.lastIndex) {
    LINE.lastIndex = at;
    const line = LINE.exec(text)?.[0] ?? '';
    const needed = line.trim() === '' || MARKER.test(line) ? 0 : pad;
    chars += line.length + needed;
    if (chars > MAX_CHARS) return undefined;
    pads.push(needed);
    lines.push(' '.repeat(needed) + line);
    while (span !== undefined && span.end <= LINE.lastIndex) span = spans[++next];
    if (span === undefined || span.start >= LINE.lastIndex) pad = 0;
    else if (span.start >= at) pad = Math.max(pad, indentOf(line) + 1);
  }
  return {
    text: lines.join(''),
    original: (fault) => {
      if (fault.line === null || fault.column === null) return fault;
      return { ...fault, column: Math.max(1, fault.column - (pads[fault.line - 1] ?? 0)) };
    },
  };
}

function indentOf(line: string): number {
  return BLOCK_INDENT.exec(line)?.[0].length ?? 0;
}

/** The outermost flow collections and quoted scalars that have more than one line, in their order. */
function multilineNodes(text: string): Span[] | ValueFault | undefined {
  const begun: number[] = [];
  const spans: Span[] = [];
  const listener = (event: 'open' | 'close', { position }: { readonly position: number }) => {
    if (event === 'open') {
      begun.push(position);
      return;
    }
    const start = begun.pop() ?? 0;
    // The line break that is appended keeps the end of block collections off their last node's.
    if (!CLOSED.test(text[position - 1] ?? '')) return;
    while ((spans.at(-1)?.start ?? -1) >= start) spans.pop();
    spans.push({ start, end: position });
  };
  try {
    loadAll(`${text}\n`, null, { schema: SCHEMA, json: true, maxDepth: 2 * MAX_DEPTH, listener });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { reason, mark } = error;
    return mark && { reason, line: mark.line + 1, column: mark.column + 1 };
  }
  return spans.filter(({ start, end }) => /[\r\n]/.test(text.slice(start, end)));
}
