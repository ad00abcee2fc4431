import { z } from 'zod';
import { namespaceFault } from './identifiers.js';

/** How a gateway chooses among nodes that are equally fit. */
export const BALANCING_STRATEGIES = [
  'round-robin',
  'least-connections',
  'weighted-round-robin',
  'consistent-hash',
] as const;
export type BalancingStrategy = (typeof BALANCING_STRATEGIES)[number];

/** The value of `gateway/balancing`: what all gateways use in place of their own settings. */
export const GatewayBalancing = z.strictObject({
  strategy: z.enum(BALANCING_STRATEGIES),
  /** Ask a second node for a read that takes longer than nineteen in twenty. */
  hedge: z.boolean().optional(),
  /** For how long a node that came back gets less than its share; 0 = not at all. */
  slowStartMs: z.number().int().min(0).max(600_000).optional(),
  /** Consistent hash: how much of its share a node may have under way, in percent, before others get its keys. */
  loadPercent: z.number().int().min(101).max(1_000).optional(),
});
export type GatewayBalancing = z.infer<typeof GatewayBalancing>;

/** What is kept of a namespace's history. Whichever bound is reached first counts; without any it is kept for ever. */
export const RetentionRule = z.strictObject({
  /** A version of a key goes this long after it ceased to be the present one; a deletion, this long after it happened. */
  maxAgeDays: z.number().int().min(1).max(36_500).optional(),
  /** The latest versions of each key that stay. */
  maxVersionsPerKey: z.number().int().min(10).max(100_000).optional(),
});
export type RetentionRule = z.infer<typeof RetentionRule>;

/** In `HistoryRetention`: every namespace that has no rule of its own, but for those of Holdfast itself. */
export const ANY_NAMESPACE = '*';

const RuledNamespace = z
  .string()
  .refine((name) => name === ANY_NAMESPACE || namespaceFault(name) === undefined, 'it is not a namespace');

/** The value of `history/retention`. Without it all history is kept. */
export const HistoryRetention = z.strictObject({
  namespaces: z.record(RuledNamespace, RetentionRule),
});
export type HistoryRetention = z.infer<typeof HistoryRetention>;

export const RETENTION_KEY = 'history/retention';

/**
 * The value of `consistency/entry-repairs`: how many entries of the database the leader may set right within an hour before
 * it stops and waits for an operator, 100 without it. To publish it again is to say that the leader may go on.
 */
export const EntryRepairs = z.strictObject({ maxPerHour: z.number().int().min(0).max(1_000_000) });
export type EntryRepairs = z.infer<typeof EntryRepairs>;

export const ENTRY_REPAIRS_KEY = 'consistency/entry-repairs';

/** Holdfast's own configuration lives in this namespace. */
export const SYSTEM_NAMESPACE = 'system';

/** The keys that operators may write there, with the cluster's secret: JSON of the schema. No others exist. */
export const SYSTEM_KEYS = {
  'gateway/balancing': { schema: GatewayBalancing, meaning: 'How gateways choose among nodes.' },
  [RETENTION_KEY]: { schema: HistoryRetention, meaning: 'How much of the history is kept.' },
  [ENTRY_REPAIRS_KEY]: {
    schema: EntryRepairs,
    meaning: 'How many entries of the database are set right before an operator looks.',
  },
} as const satisfies Record<string, { schema: z.ZodType; meaning: string }>;
export type SystemKey = keyof typeof SYSTEM_KEYS;

export function isSystemKey(key: string): key is SystemKey {
  return Object.hasOwn(SYSTEM_KEYS, key);
}

export interface FieldFault {
  /** Path of the field, empty for the whole. */
  field: string;
  why: string;
}

/** Reads the value of a system key by its schema. */
export function parseSystemValue<T>(
  schema: z.ZodType<T>,
  text: string,
): { value: T } | { fault: FieldFault } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { fault: { field: '', why: 'it is not JSON' } };
  }
  const result = schema.safeParse(json);
  if (result.success) return { value: result.data };
  const [issue] = result.error.issues;
  return { fault: { field: issue?.path.join('.') ?? '', why: issue?.message ?? 'it is not valid' } };
}
