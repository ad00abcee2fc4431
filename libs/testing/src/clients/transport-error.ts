/** What a request that got no answer means. */
export interface TransportFailure {
  code: string;
  /** Certainly nothing was sent: the connection was never there. */
  neverSent: boolean;
}

const NEVER_SENT = new Set(['ECONNREFUSED', 'UND_ERR_CONNECT_TIMEOUT', 'ENOTFOUND']);

/** Names the failure of a request; anything that is not one is a bug of the test and is thrown on. */
export function transportFailure(error: unknown): TransportFailure {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return { code: error.code, neverSent: NEVER_SENT.has(error.code) };
  }
  throw error;
}
