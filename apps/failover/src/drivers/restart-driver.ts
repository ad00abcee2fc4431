/** A node whose process is to be started anew. */
export interface RestartTarget {
  nodeId: string;
  address: string | undefined;
}

export type RestartResult =
  /** The process was ended, or told to end, and whoever runs it starts it again. */
  | { outcome: 'done' }
  /** Nobody of that name is run there. */
  | { outcome: 'unknown-node'; detail: string }
  | { outcome: 'refused'; detail: string }
  /** No answer in time, or none at all: it may have been done or not. */
  | { outcome: 'unreachable'; detail: string };

/** Somebody who can start a node's process anew. Never throws: what went wrong has a name. */
export interface RestartDriver {
  readonly name: 'http' | 'local' | 'docker' | 'kubernetes';
  restart(target: RestartTarget, signal: AbortSignal): Promise<RestartResult>;
  close(): Promise<void>;
}
