const DEFAULT_PORT = 80;

/** The end of a connection at this process. */
export interface LocalEnd {
  localAddress?: string | undefined;
  localPort?: number | undefined;
}

/**
 * The names under which this process is asked, as they stand in Host: those it announces, the address of the
 * connection itself, and its public host names with the port of the connection. A request that was signed for any
 * other name was meant for another process.
 */
export class OwnAuthorities {
  private readonly announced = new Set<string>();

  constructor(private readonly publicNames: ReadonlySet<string>) {}

  /** @param address such as `http://node-1:7400` */
  announce(address: string): void {
    this.announced.add(new URL(address).host);
  }

  has(authority: string, { localAddress = '', localPort }: LocalEnd): boolean {
    const given = authority.toLowerCase();
    if (this.announced.has(given)) return true;
    const { name, port } = splitAuthority(given);
    if (port !== localPort) return false;
    const local = localAddress.replace(/^::ffff:/, '');
    if (name === local || name === `[${local}]`) return true;
    // Every machine calls itself so: only a caller on this machine means this one.
    if (isLoopback(name)) return name === 'localhost' && isLoopback(local);
    return this.publicNames.has(name);
  }
}

export function splitAuthority(authority: string): { name: string; port: number } {
  const match = /^(.*?)(?::(\d{1,5}))?$/.exec(authority);
  return { name: match?.[1] ?? authority, port: Number(match?.[2] ?? DEFAULT_PORT) };
}

function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '::1' || name === '[::1]' || name.startsWith('127.');
}
