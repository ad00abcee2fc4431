import { createHash, randomBytes } from 'node:crypto';
import { HEADERS } from '#libs/contracts';
import { type Clock, deriveKey, Slices, systemClock } from '#libs/kernel';
import { requestMac, signatureText } from './domain/signed-request.js';

export interface OutgoingRequest {
  method: string;
  headers?: readonly string[];
  body?: string | Buffer | undefined;
}

/** Addresses of processes that are asked again and again. */
const MAX_AUTHORITIES = 256;

/** Signs the requests of this process: the cluster key itself is never sent. */
export class RequestSigner {
  private readonly key: Buffer;
  /** With the counter a nonce that no other process and no later run makes. */
  private readonly instance = randomBytes(12).toString('base64url');
  private readonly authorities = new Map<string, string>();
  private counter = 0;

  constructor(
    clusterKey: string,
    private readonly clock: Clock = systemClock,
  ) {
    this.key = deriveKey(clusterKey, 'http-mac');
  }

  /**
   * The value of `Holdfast-Signature` for a request to `path`, with its query, of the process at `address`.
   * `bodyHash` spares hashing a body that is sent several times.
   */
  sign(address: string, path: string, request: OutgoingRequest, bodyHash = hashOf(request.body)): string {
    const { method, headers = [] } = request;
    const stamp = {
      unixMs: Math.floor(this.clock.wallMs()),
      nonce: `${this.instance}${(this.counter++).toString(36)}`,
      bodyHash,
    };
    const mac = requestMac(this.key, { method, authority: this.authorityOf(address), path, headers }, stamp);
    return signatureText({ ...stamp, mac });
  }

  /** Headers of a request to a URL, those given and its signature. */
  signedHeaders(
    url: string,
    request: {
      method: string;
      headers?: Readonly<Record<string, string>>;
      body?: string | Buffer | undefined;
    },
  ): Record<string, string> {
    const { origin, pathname, search } = new URL(url);
    const { method, headers = {}, body } = request;
    const list = Object.entries(headers).flat();
    const signature = this.sign(origin, `${pathname}${search}`, { method, headers: list, body });
    return { ...headers, [HEADERS.signature]: signature };
  }

  private authorityOf(address: string): string {
    let authority = this.authorities.get(address);
    if (authority === undefined) {
      authority = new URL(address).host;
      if (this.authorities.size >= MAX_AUTHORITIES) this.authorities.clear();
      this.authorities.set(address, authority);
    }
    return authority;
  }
}

const SLICE_BYTES = 1024 * 1024;

/** The same in slices of some milliseconds, for a body that may be large. */
export async function hashInSlices(body: Buffer): Promise<Buffer> {
  const hash = createHash('sha256');
  const slices = new Slices();
  for (let at = 0; at < body.length; at += SLICE_BYTES) {
    hash.update(body.subarray(at, at + SLICE_BYTES));
    await slices.giveWay();
  }
  return hash.digest();
}

/** SHA-256 of a body as it is sent. */
export function hashOf(body: string | Buffer | undefined): Buffer {
  return createHash('sha256')
    .update(body ?? '')
    .digest();
}
