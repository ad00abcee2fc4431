export interface PostgresHost {
  host: string;
  port: number;
}

export interface PostgresSettings {
  /** Every server that may become the primary. Which one is, is asked of the servers themselves. */
  hosts: PostgresHost[];
  database: string;
  user: string;
  password: string;
  applicationName: string;
  /** Connections per host, 5 by default. */
  max?: number;
  /** 2,500 ms by default; the client's own patience is 500 ms longer. */
  statementTimeoutMs?: number;
  /** Told of every connection that broke; nothing needs to be done about it. */
  onConnectionError?: (error: Error, host: PostgresHost) => void;
  /** More than one of the hosts takes writes, or one that was replaced does: an operator must stop one of them. */
  onSplit?: (summary: string) => void;
}

/**
 * Client's patience > statement > lock: whoever is nearer to the cause gives up first and says why.
 * `transaction_timeout` (a setting of the role) stands between statement and client.
 */
export const TIMEOUTS = {
  connectMs: 1_000,
  lockMs: 1_000,
  statementMs: 2_500,
  queryAboveStatementMs: 500,
  idleInTransactionMs: 2_000,
  idleClientMs: 30_000,
  keepAliveInitialDelayMs: 2_000,
  lifetimeSeconds: 1_800,
} as const;

/** Check-outs that may wait for a connection, per connection: beyond that the database counts as unavailable. */
export const WAITING_PER_CONNECTION = 20;
