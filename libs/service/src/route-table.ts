/** The routes of one server, so that a path that exists under another method gets 405 with `Allow`, not 404. */
export class RouteTable {
  private readonly routes: { pattern: RegExp; methods: Set<string> }[] = [];
  private readonly byUrl = new Map<string, { pattern: RegExp; methods: Set<string> }>();

  /** `url` in find-my-way's syntax: `/a/:b/*`. */
  add(url: string, methods: string | readonly string[]): void {
    let route = this.byUrl.get(url);
    if (route === undefined) {
      route = { pattern: patternOf(url), methods: new Set() };
      this.byUrl.set(url, route);
      this.routes.push(route);
    }
    for (const method of typeof methods === 'string' ? [methods] : methods) route.methods.add(method);
  }

  /**
   * Whether the target, not decoded, is literally of the route's form. The router matches decoded paths: `/%73ync`
   * reaches `/sync`, past everything that looks at the target's own letters.
   */
  isLiteral(url: string, target: string): boolean {
    const pattern = this.byUrl.get(url)?.pattern;
    return pattern === undefined || pattern.test(target.split('?', 1)[0] ?? '');
  }

  methodsAt(target: string): string[] {
    const path = target.split('?', 1)[0] ?? '';
    const methods = new Set<string>();
    for (const route of this.routes) {
      if (route.pattern.test(path)) for (const method of route.methods) methods.add(method);
    }
    return [...methods].sort();
  }
}

function patternOf(url: string): RegExp {
  const source = url
    .split('/')
    .map((segment) => {
      if (segment === '*') return '.*';
      if (segment.startsWith(':')) return '[^/]+';
      return segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    })
    .join('/');
  return new RegExp(`^${source}$`);
}
