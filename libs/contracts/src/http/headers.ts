/** Header names, lower case as Node gives them. */
export const HEADERS = {
  node: 'holdfast-node',
  version: 'holdfast-version',
  term: 'holdfast-term',
  stale: 'holdfast-stale',
  /** On internal doors: chain at `holdfast-version`, and the algorithm of the digests in the body. */
  chain: 'holdfast-chain',
  /** Of a page of the log for some namespaces: it is complete up to this version. */
  through: 'holdfast-through',
  digestFormat: 'holdfast-digest-format',
  minVersion: 'holdfast-min-version',
  comment: 'holdfast-comment',
  author: 'holdfast-author',
  idempotencyKey: 'idempotency-key',
  /** Secret of the cluster, from an operator only: no process sends it. Stripped at the gateway. */
  clusterKey: 'holdfast-cluster-key',
  /** From processes of the cluster: proves that the sender has the cluster key. See docs/process-authentication.md. */
  signature: 'holdfast-signature',
  /** From gateways: the term that this attempt of a write aims at. Honoured only with a signature or the cluster key. */
  aimTerm: 'holdfast-aim-term',
  /** From gateways: 1 for the first attempt of a write whose idempotency key the gateway has just made up. */
  attempt: 'holdfast-attempt',
  /** From gateways that cannot reach the leader: 1 asks a node that does not lead to send the write on, once. */
  forward: 'holdfast-forward',
  /** From gateways: the request was forwarded once already and is not forwarded again. */
  forwarded: 'holdfast-forwarded',
  /** 1 = the request is an operator's: the gateway says so of a client that gave the cluster key. Honoured only with it. */
  operator: 'holdfast-operator',
  /** From gateways that list for watchers: a page is to end at so many bytes of values (at most 4 MiB). */
  pageBytes: 'holdfast-page-bytes',
  requestId: 'x-request-id',
} as const;
