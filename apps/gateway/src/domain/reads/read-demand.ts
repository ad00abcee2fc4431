/** What a read asks for, as far as it matters to which node it goes. */
export interface ReadDemand {
  /** Encoded or read from the database at some cost: a listing, a history, a difference, the log. */
  heavy: boolean;
  /** The version that the answer must have; 0 = any. */
  minVersion: number;
  linearizable: boolean;
  /** The present value of one key, and nothing said about versions. */
  plain: boolean;
}

const NAMESPACES = '/v1/namespaces/';
const CONFIGS = '/configs/';
const PLAIN: ReadDemand = { heavy: false, minVersion: 0, linearizable: false, plain: true };
const VERSION = /^\d{1,15}$/;

/** `seen` = the header Holdfast-Min-Version. What is not valid is refused by the node: here it counts as not said. */
export function demandOf(target: string, seen: string | string[] | undefined): ReadDemand {
  const at = target.indexOf('?');
  const ofKey = isKey(at < 0 ? target : target.slice(0, at));
  if (at < 0 && seen === undefined) return ofKey ? PLAIN : { ...PLAIN, heavy: true, plain: false };
  const query = new URLSearchParams(at < 0 ? '' : target.slice(at + 1));
  const minVersion = Math.max(versionIn(query.get('minVersion')), versionIn(seen));
  const linearizable = query.get('consistency') === 'linearizable';
  const namesKey = ofKey || (target.slice(0, at).endsWith('/configs') && query.has('key'));
  const saysVersion = query.has('minVersion') || query.has('version') || seen !== undefined;
  return { heavy: !namesKey, minVersion, linearizable, plain: namesKey && !saysVersion && !linearizable };
}

function isKey(path: string): boolean {
  if (!path.startsWith(NAMESPACES)) return false;
  return path.startsWith(CONFIGS, path.indexOf('/', NAMESPACES.length));
}

function versionIn(text: string | string[] | null | undefined): number {
  return typeof text === 'string' && VERSION.test(text) ? Number(text) : 0;
}
