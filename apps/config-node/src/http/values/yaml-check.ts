import {
  CORE_SCHEMA,
  constructFromEvents,
  defineMappingTag,
  defineScalarTag,
  defineSequenceTag,
  EVENT_ID,
  mergeTag,
  parseEvents,
  realMapTag,
  YAMLException,
} from 'js-yaml';
import { MAX_ALIASES, MAX_DEPTH, type ValueFault } from './value-fault.ts';

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

/**
 * Whether a text is a stream of YAML documents. Aliases are counted before anything is constructed: a few nested ones
 * stand for more nodes than there are atoms in the universe.
 */
export function checkYaml(text: string): ValueFault | undefined {
  try {
    // The parser counts the document as a level.
    const events = parseEvents(text, { maxDepth: MAX_DEPTH + 1 });
    const aliases = events.filter((event) => event.type === EVENT_ID.ALIAS).length;
    if (aliases > MAX_ALIASES) {
      return { reason: `${aliases} aliases: at most ${MAX_ALIASES} are allowed`, line: null, column: null };
    }
    // A hundred aliases cannot merge more than time allows anyway.
    constructFromEvents(events, { source: text, schema: SCHEMA, maxTotalMergeKeys: -1 });
    return undefined;
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { mark } = error;
    return { reason: error.reason, line: mark ? mark.line + 1 : null, column: mark ? mark.column + 1 : null };
  }
}
