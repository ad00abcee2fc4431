export type ViolationKind =
  /** The log itself: a version missing, out of order, of a falling term, or written by nobody. */
  | 'log-broken'
  | 'invented'
  /** Writes. */
  | 'lost'
  | 'doubled'
  | 'altered'
  | 'reordered'
  | 'refused-but-took-effect'
  | 'condition-broken'
  | 'unjustified-refusal'
  /** Reads. */
  | 'wrong-read'
  | 'went-back'
  | 'stale-linearizable-read'
  /** Watches. */
  | 'watch-missed'
  | 'watch-repeated'
  | 'watch-altered'
  | 'watch-reset'
  | 'watch-behind';

export interface Violation {
  kind: ViolationKind;
  who: string;
  detail: string;
}
