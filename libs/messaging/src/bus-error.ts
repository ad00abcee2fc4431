export type BusErrorKind =
  /** There is no connection to the bus now; nothing was sent. */
  | 'disconnected'
  /** Nobody listens on the subject. */
  | 'no-responders'
  /** Sent, and no answer came in time: it may have taken effect. */
  | 'timeout'
  /** The answer is not what the contract says. */
  | 'invalid';

/** A request over the bus failed before the other side could answer it. What the other side answers is a Problem. */
export class BusError extends Error {
  override readonly name = 'BusError';

  constructor(
    readonly kind: BusErrorKind,
    readonly subject: string,
    options?: ErrorOptions,
  ) {
    super(`${subject}: ${kind}`, options);
  }
}
