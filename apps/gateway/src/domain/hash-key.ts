const NAMESPACES = '/v1/namespaces/';

/**
 * What of a request target names the value: namespace and key, the same for reading it, its history and its
 * differences, however the key is written (`%2F` for `/`, or `?key=`). A target without a namespace stands for itself.
 */
export function hashKeyOf(target: string): string {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  if (!path.startsWith(NAMESPACES)) return target;
  const afterNamespace = path.indexOf('/', NAMESPACES.length);
  if (afterNamespace < 0) return target;
  const namespace = path.slice(NAMESPACES.length, afterNamespace);
  const afterArea = path.indexOf('/', afterNamespace + 1);
  const key =
    afterArea < 0 ? keyInQuery(query < 0 ? '' : target.slice(query + 1)) : path.slice(afterArea + 1);
  return `${namespace}/${key.includes('%') ? decoded(key) : key}`;
}

function keyInQuery(query: string): string {
  for (const part of query.split('&')) if (part.startsWith('key=')) return part.slice(4).replaceAll('+', ' ');
  return '';
}

/** What is not valid is refused by the node: any node can do that. */
function decoded(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
