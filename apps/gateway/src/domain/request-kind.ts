/** What the gateway does with a request: balance it over nodes, send it to the leader, or serve it itself. */
export type RouteKind = 'read' | 'write' | 'own';

const NAMESPACES = '/v1/namespaces';
const CHANGES = '/v1/changes';

/** `target` is the request target as it came: path and query, not decoded. */
export function kindOf(method: string, target: string): RouteKind {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  if (path === CHANGES) return isRead(method) ? 'read' : method === 'POST' ? 'write' : 'own';
  if (!path.startsWith(NAMESPACES)) return 'own';
  if (path.length === NAMESPACES.length) return isRead(method) ? 'read' : 'own';
  if (path[NAMESPACES.length] !== '/') return 'own';
  return kindWithinNamespace(method, areaOf(path));
}

function kindWithinNamespace(method: string, area: string): RouteKind {
  switch (area) {
    case 'configs':
      if (isRead(method)) return 'read';
      return method === 'PUT' || method === 'DELETE' ? 'write' : 'own';
    case 'history':
    case 'diff':
      return isRead(method) ? 'read' : 'own';
    case 'rollback':
      return method === 'POST' ? 'write' : 'own';
    default:
      return 'own'; // watches among them: they are served here, over one stream from a node
  }
}

/** The segment after the namespace: `configs` of `/v1/namespaces/app/configs/a/b`. */
function areaOf(path: string): string {
  const afterNamespace = path.indexOf('/', NAMESPACES.length + 1);
  if (afterNamespace < 0) return '';
  const end = path.indexOf('/', afterNamespace + 1);
  return path.slice(afterNamespace + 1, end < 0 ? path.length : end);
}

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}
