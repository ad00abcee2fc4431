/** Where a node stands, by its own word. Without a chain it only told its version. */
export interface ReportedPosition {
  version: number;
  chain: string | undefined;
}

/** What of a change a history is compared by. */
export interface LoggedPoint {
  version: number;
  chain: string;
  lost?: { from: number; to: number } | undefined;
}

/**
 * `diverged`: the log has another history there: nothing may be pushed onto that. `compacted`: it has none so old.
 * `unknown`: it does not reach so far yet.
 */
export type HistoryVerdict = 'in-log' | 'diverged' | 'compacted' | 'unknown';

/** @param logged the first change of the log at or after the position's version */
export function judgePosition(position: ReportedPosition, logged: LoggedPoint | undefined): HistoryVerdict {
  const { version, chain } = position;
  if (version === 0) return 'in-log';
  if (logged === undefined) return 'unknown';
  if (logged.version === version)
    return chain === undefined || chain === logged.chain ? 'in-log' : 'diverged';
  // The versions that the database lost: a change of theirs is of a history that is no more.
  if (logged.lost !== undefined && logged.lost.from <= version) return 'diverged';
  return 'compacted';
}

/**
 * What a node answered to a batch. `known`: it stands within it; `diverged`: at a change of another history; `stuck`: no
 * further than before; `elsewhere`: before or beyond it, which only the log can judge.
 */
export type AnswerVerdict = 'known' | 'diverged' | 'stuck' | 'elsewhere';

export function judgeAnswer(
  after: ReportedPosition,
  pushed: readonly LoggedPoint[],
  answer: { version: number; chain: string },
): AnswerVerdict {
  if (answer.version === after.version) {
    return after.chain === undefined || after.chain === answer.chain ? 'stuck' : 'elsewhere';
  }
  const change = pushed.find(({ version }) => version === answer.version);
  if (change === undefined) return 'elsewhere';
  return change.chain === answer.chain ? 'known' : 'diverged';
}

/** Whether a page of the log goes on where the node stands. An empty one may come from a standby that is behind. */
export function judgePage(after: number, page: readonly LoggedPoint[]): 'continues' | 'empty' | 'compacted' {
  const [first] = page;
  if (first === undefined) return 'empty';
  return (first.lost?.from ?? first.version) === after + 1 ? 'continues' : 'compacted';
}
