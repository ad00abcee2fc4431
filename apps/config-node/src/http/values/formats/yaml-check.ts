import {
  CORE_SCHEMA,
  constructFromEvents,
  defineMappingTag,
  defineScalarTag,
  defineSequenceTag,
  mergeTag,
  parseEvents,
  realMapTag,
  YAMLException,
} from 'js-yaml';
import { MAX_DEPTH, tooDeep, type ValueFault } from './value-fault.ts';
import { expansionFault } from './yaml-expansion.ts';
import { indentYaml } from './yaml-indentation.ts';

/** Tags that mean something to the application only: any of them is well-formed. */
const ANY_TAG = ['!', 'tag:'].flatMap((prefix) => [
  defineScalarTag(prefix, { matchByTagPrefix: true, resolve: (source) => source, identify: () => false }),
  defineSequenceTag<unknown[]>(prefix, {
    matchByTagPrefix: true,
    create: () => [],
    addItem: (carrier, item) => {
      carrier.push(item);
    },
    identify: () => false,
  }),
  defineMappingTag<Map<unknown, unknown>>(prefix, {
    matchByTagPrefix: true,
    create: () => new Map(),
    addPair: (carrier, key, value) => {
      carrier.set(key, value);
      return '';
    },
    has: (carrier, key) => carrier.has(key),
    keys: (carrier) => carrier.keys(),
    get: (carrier, key) => carrier.get(key),
    identify: () => false,
  }),
]);

const SCHEMA = CORE_SCHEMA.withTags(mergeTag, realMapTag, ANY_TAG);

/** The parser counts the document as a level, and a scalar. */
const PARSER_DEPTH = MAX_DEPTH + 2;

/** Whether a text is a stream of YAML documents. What differs from YAML 1.2 on purpose: docs/value-formats.md. */
export function checkYaml(text: string): ValueFault | undefined {
  const fault = faultOf(text);
  if (fault === undefined || !fault.reason.startsWith('deficient indentation')) return fault;
  const indented = indentYaml(text);
  if (indented === undefined) return fault;
  if ('reason' in indented) {
    const place = indented.line === null ? '' : ` at line ${indented.line}`;
    return { ...fault, reason: `${fault.reason}, and${place}: ${indented.reason}` };
  }
  const remaining = faultOf(indented.text);
  return remaining && indented.original(remaining);
}

function faultOf(text: string): ValueFault | undefined {
  try {
    const events = parseEvents(text, { maxDepth: PARSER_DEPTH });
    // Before anything is constructed: merge keys cost time.
    const fault = expansionFault(text, events);
    if (fault !== undefined) return fault;
    constructFromEvents(events, { source: text, schema: SCHEMA, maxTotalMergeKeys: -1 });
    return undefined;
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { mark } = error;
    const reason = error.reason.startsWith('nesting exceeded') ? tooDeep() : error.reason;
    return { reason, line: mark ? mark.line + 1 : null, column: mark ? mark.column + 1 : null };
  }
}
