import type { Rng } from '#libs/kernel';
import type { WrittenOperation } from '../history/record.js';

export const OWN_KEYS = 20;
export const SHARED_KEYS = 5;
const CAS_KEYS = 3;
const NEW_KEYS = 50;

/** What a writer remembers of conditional keys: the version it last heard of. */
export type Versions = Map<string, number>;

export interface PlannedWrite {
  form: 'put' | 'delete' | 'change-set';
  operations: WrittenOperation[];
}

/**
 * The next write of a client. Values are the mark, so that every value occurs once and a read tells whose it is.
 * Keys: `own/<client>/n` written by one client, `shared/n` by all, `cas/n` by compare-and-set, `new/n` create only.
 */
export function planWrite(
  rng: Rng,
  client: string,
  namespace: string,
  mark: string,
  versions: Versions,
): PlannedWrite {
  const own = (n: number) => ({ namespace, key: `own/${client}/${n}` });
  const put = (at: { namespace: string; key: string }, suffix = '') => ({
    op: 'put' as const,
    ...at,
    value: mark + suffix,
  });
  const draw = rng.next();
  if (draw < 0.5) return { form: 'put', operations: [put(own(rng.int(OWN_KEYS)))] };
  if (draw < 0.65) {
    return { form: 'put', operations: [put({ namespace, key: `shared/${rng.int(SHARED_KEYS)}` })] };
  }
  if (draw < 0.75) {
    const key = `cas/${rng.int(CAS_KEYS)}`;
    const version = versions.get(key) ?? 0;
    const condition = version === 0 ? { type: 'absent' as const } : { type: 'version' as const, version };
    return { form: 'put', operations: [{ ...put({ namespace, key }), condition }] };
  }
  if (draw < 0.85) return { form: 'delete', operations: [{ op: 'delete', ...own(rng.int(OWN_KEYS)) }] };
  if (draw < 0.9) {
    const condition = { type: 'absent' as const };
    return {
      form: 'put',
      operations: [{ ...put({ namespace, key: `new/${rng.int(NEW_KEYS)}` }), condition }],
    };
  }
  const first = rng.int(OWN_KEYS);
  return {
    form: 'change-set',
    operations: [
      put(own(first), ':a'),
      put(own((first + 1) % OWN_KEYS), ':b'),
      put({ namespace, key: `shared/${rng.int(SHARED_KEYS)}` }, ':c'),
    ],
  };
}
