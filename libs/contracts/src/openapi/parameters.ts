import { z } from 'zod';
import { LIMITS } from '../limits.js';

/**
 * Query parameters, as text in the address and as values behind it. Every route has one closed object of them: an
 * unknown parameter is an error, so that a misspelt condition is never ignored.
 */

const DIGITS = /^(?:0|[1-9]\d{0,15})$/;

function integer(min: number, max: number, description: string) {
  return z
    .string()
    .regex(DIGITS, 'a whole number is expected')
    .transform(Number)
    .pipe(z.number().min(min).max(max))
    .meta({ type: 'integer', pattern: undefined, minimum: min, maximum: max, description });
}

const version = (description: string) => integer(0, Number.MAX_SAFE_INTEGER, description);

const Flag = z.enum(['true', 'false']).transform((text) => text === 'true');

const DURATION = /^(\d{1,9})(ms|s)?$/;

/** `5s`, `500ms`, or a number of seconds. */
function duration(maxMs: number, description: string) {
  return z
    .string()
    .regex(DURATION, "a duration is a whole number with 's' or 'ms'")
    .transform((text) => Number.parseInt(text, 10) * (text.endsWith('ms') ? 1 : 1_000))
    .pipe(z.number().max(maxMs, `at most ${maxMs / 1_000}s`))
    .meta({ type: 'string', description });
}

const Prefix = z
  .string()
  .refine((prefix) => prefix.isWellFormed() && Buffer.byteLength(prefix) <= LIMITS.keyBytes, {
    message: `a prefix has at most ${LIMITS.keyBytes} bytes of UTF-8`,
  })
  .meta({ description: 'Keys that begin with this; all when absent.' });

const Key = z.string().meta({ description: 'The key, where proxies spoil encoded slashes in paths.' });

const Cursor = z.string().max(2_048).meta({ description: 'From the page before.' });

const limit = integer(1, LIMITS.listItems, `Items of one page; ${LIMITS.listItemsDefault} when absent.`);

const page = { limit: limit.default(LIMITS.listItemsDefault) };

/** Every read: wait until the node has applied a version, at most `timeout`. */
const reach = {
  minVersion: version('Wait until the node has applied this version.').optional(),
  timeout: duration(
    LIMITS.minVersionWaitMaxMs,
    'How long to wait for minVersion; 5s when absent, 30s at most.',
  ).optional(),
};

const consistency = z
  .enum(['linearizable'])
  .meta({ description: 'Answer with nothing older than what was committed when the request arrived.' })
  .optional();

const from = version('The last version already seen; 0 = everything retained.').optional();
const wait = duration(
  LIMITS.watchWaitMaxMs,
  'Long poll: how long to wait for a change, at most 60s.',
).optional();
const initial = Flag.meta({ description: 'Send the present values first.' }).optional();

const asAt = version('The value as it was at this version.').optional();

export const QUERIES = {
  none: z.strictObject({}),
  /** One page holds as many as there may be: a client that asks for no pages gets what it always got, up to that. */
  namespaces: z.strictObject({
    ...reach,
    limit: integer(1, LIMITS.listItems, `Namespaces of one page; ${LIMITS.listItems} when absent.`).default(
      LIMITS.listItems,
    ),
    cursor: Cursor.optional(),
  }),
  value: z.strictObject({ ...reach, consistency, version: asAt }),
  /** `GET /configs`: a listing, or with `key` the value of that key. No defaults: what was not said must show. */
  configs: z.strictObject({
    ...reach,
    consistency,
    key: Key.optional(),
    version: asAt,
    prefix: Prefix.optional(),
    limit: limit.optional(),
    cursor: Cursor.optional(),
    values: Flag.meta({ description: 'false leaves the values out.' }).optional(),
  }),
  write: z.strictObject({ comment: z.string().optional() }),
  writeByKey: z.strictObject({ comment: z.string().optional(), key: Key }),
  changes: z.strictObject({
    ...reach,
    ...page,
    after: version('The last version already seen.').default(0),
    namespace: z.string().optional(),
  }),
  history: z.strictObject({
    ...reach,
    ...page,
    key: Key.optional(),
    cursor: Cursor.optional(),
  }),
  diff: z.strictObject({
    ...reach,
    key: Key.optional(),
    from: version('The older version; the one before `to` when absent, 0 = nothing.').optional(),
    to: version('The newer version; the latest when absent.').optional(),
  }),
  byKey: z.strictObject({ key: Key.optional() }),
  watch: z.strictObject({ prefix: Prefix.default(''), from, initial, wait }),
  watches: z.strictObject({
    w: z
      .array(z.string())
      .min(1, 'at least one watch, as w=<namespace>:<prefix>')
      .max(LIMITS.watchesPerStream)
      .meta({ description: '`<namespace>:<prefix>`, repeated.' }),
    from,
    initial,
    wait,
  }),
  elections: z.strictObject({ limit: page.limit }),
  recoveries: z.strictObject({ limit: page.limit }),
  events: z.strictObject({
    from: version('The last event already seen; 0 = everything retained.').optional(),
  }),
} as const;
