import { parse, TomlError } from 'smol-toml';
import { MAX_DEPTH, tooDeep, type ValueFault } from './value-fault.ts';

export function checkToml(text: string): ValueFault | undefined {
  try {
    // Dotted keys and headers nest without nested text, which the parser's own limit does not see.
    if (depthOf(parse(text, { maxDepth: MAX_DEPTH, integersAsBigInt: 'asNeeded' })) > MAX_DEPTH) {
      return { reason: tooDeep(), line: null, column: null };
    }
    return undefined;
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

function depthOf(root: object): number {
  let depth = 0;
  let level: object[] = [root];
  while (level.length > 0 && depth <= MAX_DEPTH) {
    depth += 1;
    const next: object[] = [];
    for (const node of level) {
      for (const child of Object.values(node)) {
        if (typeof child === 'object' && child !== null && !(child instanceof Date)) next.push(child);
      }
    }
    level = next;
  }
  return depth;
}
