export interface CommittedKey {
  namespace: string;
  key: string;
  version: number;
}

/** The keys that the answer to a write names, of one value or of a change set. What is no such answer names none. */
export function committedKeys(body: Buffer): CommittedKey[] {
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString('utf8'));
  } catch {
    return []; // not an answer of ours: there is nothing to remember of it
  }
  const named = isObject(answer) && Array.isArray(answer.results) ? answer.results : [answer];
  return named.filter(isCommitted);
}

function isCommitted(named: unknown): named is CommittedKey {
  if (!isObject(named)) return false;
  const { namespace, key, version } = named;
  return typeof namespace === 'string' && typeof key === 'string' && Number.isSafeInteger(version);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
