import type { IncomingMessage } from 'node:http';
import { ClusterProofs, OwnAuthorities } from '#libs/cluster-auth';
import { HEADERS, Problem } from '#libs/contracts';
import { type Clock, invariant, systemClock } from '#libs/kernel';
import { type HostPattern, matchesHost, parseHostPattern } from '#libs/settings';

export interface PublicGuardSettings {
  publicHosts: readonly string[];
  corsOrigins: readonly string[];
  clusterKey: string;
}

/**
 * What keeps a web page from steering a cluster that listens on loopback, before there are credentials:
 * the Host must be one of ours (DNS rebinding), and a page's Origin must be our own or an allowed one.
 * A caller that proves to have the cluster's secret is another process of the cluster and may use any name; one that
 * shows a wrong proof belongs to another cluster, and is refused.
 */
export class PublicGuard {
  private readonly hosts: readonly HostPattern[];
  private readonly origins: ReadonlySet<string>;
  /** Host headers seen to be fine, so that the hot path compares one string. */
  private readonly accepted = new Set<string>();
  private readonly own: OwnAuthorities;
  private readonly proofs: ClusterProofs;

  constructor(settings: PublicGuardSettings, clock: Clock = systemClock) {
    this.hosts = settings.publicHosts.map((text) => {
      const parsed = parseHostPattern(text);
      invariant('pattern' in parsed, `the settings let '${text}' pass as a host`);
      return parsed.pattern;
    });
    this.origins = new Set(settings.corsOrigins.map((origin) => origin.toLowerCase().replace(/\/$/, '')));
    // A request signed for another process below the same wildcard must not count as meant for this one.
    const names = this.hosts.filter(({ isWildcard, port }) => !isWildcard && port === undefined);
    this.own = new OwnAuthorities(new Set(names.map(({ name }) => name)));
    this.proofs = new ClusterProofs(settings.clusterKey, this.own, clock);
  }

  /** An address under which other processes ask this one, such as `http://node-1:7400`. */
  announce(address: string): void {
    this.own.announce(address);
  }

  /** Why the request is refused; undefined = let it pass. */
  fault(request: IncomingMessage): Problem | undefined {
    const unclear = hostFault(request);
    if (unclear !== undefined) return unclear;
    const { headers } = request;
    if (headers[HEADERS.signature] !== undefined || headers[HEADERS.clusterKey] !== undefined) {
      return this.proofs.judge(request).fault;
    }
    const host = headers.host ?? '';
    if (this.accepted.has(host) && headers.origin === undefined) return undefined;
    if (!matchesHost(this.hosts, host)) {
      return new Problem(
        'forbidden',
        `the host '${host}' is not served here: add '${hostName(host)}' to HOLDFAST_PUBLIC_HOSTS`,
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

  /** Why the request may not ask for what is only for processes of the cluster; undefined = it may. */
  memberFault(request: IncomingMessage): Problem | undefined {
    return this.proofs.memberFault(request);
  }

  /** Whether the request was sent by a process of the cluster, or by an operator with its key. */
  isMember(request: IncomingMessage): boolean {
    return this.memberFault(request) === undefined;
  }

  /** Why the body is not the one that was signed; undefined when it is, or when none was signed. */
  bodyFault(request: IncomingMessage, body: unknown): Problem | undefined {
    return this.proofs.bodyFault(request, body);
  }

  get allowsOrigins(): boolean {
    return this.origins.size > 0;
  }

  isAllowedOrigin(origin: string): boolean {
    return this.origins.has(origin.toLowerCase());
  }

  private isOwnOrigin(origin: string, host: string): boolean {
    return (
      origin.toLowerCase() === `http://${host}`.toLowerCase() ||
      origin.toLowerCase() === `https://${host}`.toLowerCase()
    );
  }
}

/** RFC 9112, 3.2: exactly one Host, which HTTP/1.0 alone may leave out. Of two, each reader could take another. */
export function hostFault({ rawHeaders, httpVersion }: IncomingMessage): Problem | undefined {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  if (hosts === 1 || (hosts === 0 && httpVersion === '1.0')) return undefined;
  return new Problem('invalid-request', `a request has one Host header, this one has ${hosts}`);
}

/** As HOLDFAST_PUBLIC_HOSTS takes it: without a port it holds for every port. */
function hostName(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '');
}
