import type { IncomingHttpHeaders } from 'node:http';
import { HEADERS, Problem } from '#libs/contracts';
import { secretMatcher } from '#libs/kernel';

export interface PublicGuardSettings {
  publicHosts: readonly string[];
  corsOrigins: readonly string[];
  clusterKey: string;
}

/**
 * What keeps a web page from steering a cluster that listens on loopback, before there are credentials:
 * the Host must be one of ours (DNS rebinding), and a page's Origin must be our own or an allowed one.
 * A caller that holds the cluster's secret is another process of the cluster and may use any name.
 */
export class PublicGuard {
  private readonly hosts: ReadonlySet<string>;
  private readonly origins: ReadonlySet<string>;
  /** Host headers seen to be fine, so that the hot path compares one string. */
  private readonly accepted = new Set<string>();

  private readonly isClusterKey: (given: string) => boolean;

  constructor(settings: PublicGuardSettings) {
    this.isClusterKey = secretMatcher(settings.clusterKey);
    this.hosts = new Set(settings.publicHosts.map((host) => host.toLowerCase()));
    this.origins = new Set(settings.corsOrigins.map((origin) => origin.toLowerCase().replace(/\/$/, '')));
  }

  /** Why the request is refused; undefined = let it pass. */
  fault(headers: IncomingHttpHeaders): Problem | undefined {
    const host = headers.host ?? '';
    if (this.accepted.has(host) && headers.origin === undefined) return undefined;
    if (headers[HEADERS.clusterKey] !== undefined && this.hasClusterKey(headers)) return undefined;
    if (!this.hosts.has(hostName(host))) {
      return new Problem(
        'forbidden',
        `the host '${host}' is not served here: add it to HOLDFAST_PUBLIC_HOSTS`,
      );
    }
    if (this.accepted.size < 64) this.accepted.add(host);
    const { origin } = headers;
    if (origin !== undefined && !this.isOwnOrigin(origin, host) && !this.isAllowedOrigin(origin)) {
      return new Problem(
        'forbidden',
        `pages of '${origin}' may not call this: add it to HOLDFAST_CORS_ORIGINS`,
      );
    }
    return undefined;
  }

  get allowsOrigins(): boolean {
    return this.origins.size > 0;
  }

  isAllowedOrigin(origin: string): boolean {
    return this.origins.has(origin.toLowerCase());
  }

  hasClusterKey(headers: IncomingHttpHeaders): boolean {
    const given = headers[HEADERS.clusterKey];
    return typeof given === 'string' && this.isClusterKey(given);
  }

  private isOwnOrigin(origin: string, host: string): boolean {
    return (
      origin.toLowerCase() === `http://${host}`.toLowerCase() ||
      origin.toLowerCase() === `https://${host}`.toLowerCase()
    );
  }
}

function hostName(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '');
}
