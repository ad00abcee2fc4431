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
 * js-yaml 5 cares, and takes a tab before or within such a node, `a:\t[x,\ty]`, for indentation too. So js-yaml 4 finds
 * where the nodes begin and end, their lines are indented as the grammar wants and their tabs become spaces, which
 * changes no meaning (but of a tab amid a plain scalar), and js-yaml 5 judges the result by all its other rules.
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
const QUOTE = /["']/;
const LINE = /[^\r\n]*(?:\r\n|\r|\n|$)/y;
/** What stands before the first key or scalar of a line: no block collection on it begins further to the right. */
const BLOCK_INDENT = /^ *(?:[-?:][ \t]+)*/;
/** Of documents: they end or begin one only at the margin, inside of nodes too. */
const MARKER = /^(?:---|\.\.\.)(?:\s|$)/;

interface NodeSpan {
  start: number;
  end: number;
}

/** The fault that js-yaml 4 finds, or undefined when the text would become too large. */
export function indentYaml(text: string): IndentedYaml | ValueFault | undefined {
  const nodes = nodesOf(text);
  if ('reason' in nodes) return nodes;
  return withIndents(withoutTabs(text, nodes), nodes.outermost);
}

function withIndents(text: string, nodes: readonly NodeSpan[]): IndentedYaml | undefined {
  const spans = nodes.filter(({ start, end }) => /[\r\n]/.test(text.slice(start, end)));
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

/** A text of the same length with spaces for the tabs in and before the nodes, but for those in quoted scalars. */
function withoutTabs(text: string, { outermost, quoted }: Nodes): string {
  if (!text.includes('\t')) return text;
  const pieces: string[] = [];
  let at = 0;
  let next = 0;
  const upTo = (end: number, change: boolean) => {
    if (end <= at) return;
    const piece = text.slice(at, end);
    pieces.push(change ? piece.replaceAll('\t', ' ') : piece);
    at = end;
  };
  for (const { start, end } of outermost) {
    let from = start;
    while (from > at && /[ \t]/.test(text[from - 1] ?? '')) from -= 1;
    upTo(from, false);
    for (let scalar = quoted[next]; scalar !== undefined && scalar.end <= end; scalar = quoted[++next]) {
      // The white space before a quoted scalar may belong to its node.
      const opening = text.slice(scalar.start, scalar.end).search(QUOTE);
      upTo(scalar.start + opening, true);
      upTo(scalar.end, false);
    }
    upTo(end, true);
  }
  upTo(text.length, false);
  return pieces.join('');
}

function indentOf(line: string): number {
  return BLOCK_INDENT.exec(line)?.[0].length ?? 0;
}

interface Nodes {
  /** Flow collections and quoted scalars that stand in no other, in their order. */
  outermost: readonly NodeSpan[];
  /** All quoted scalars, in their order. */
  quoted: readonly NodeSpan[];
}

function nodesOf(text: string): Nodes | ValueFault {
  const begun: number[] = [];
  const outermost: NodeSpan[] = [];
  const quoted: NodeSpan[] = [];
  const listener = (event: 'open' | 'close', { position: end }: { readonly position: number }) => {
    if (event === 'open') {
      begun.push(end);
      return;
    }
    const start = begun.pop() ?? 0;
    // The line break that is appended keeps the end of block collections off their last node's.
    const last = text[end - 1] ?? '';
    if (CLOSED.test(last)) put(outermost, { start, end });
    if (QUOTE.test(last)) put(quoted, { start, end });
  };
  try {
    loadAll(`${text}\n`, null, { schema: SCHEMA, json: true, maxDepth: 2 * MAX_DEPTH, listener });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { reason, mark } = error;
    return { reason, line: mark ? mark.line + 1 : null, column: mark ? mark.column + 1 : null };
  }
  return { outermost, quoted };
}

/** In the place of those that it contains: the parser ends them first, and reads some nodes twice. */
function put(spans: NodeSpan[], span: NodeSpan): void {
  while ((spans.at(-1)?.start ?? -1) >= span.start) spans.pop();
  spans.push(span);
}
