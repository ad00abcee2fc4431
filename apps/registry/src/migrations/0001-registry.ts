import { outboxTable } from '#libs/control-service';

/** Members, the moves of their status, and the facts that the world has yet to be told. */
export const migration0001 = `
create table registry.nodes (
  node_id text primary key,
  kind text not null,
  role text not null,
  address text,
  incarnation int8 not null,
  status text not null,
  reason text,
  status_seq int8 not null,
  version int8 not null,
  term int8 not null,
  last_heartbeat_at timestamptz(3),
  registered_at timestamptz(3) not null,
  metadata jsonb not null,
  -- It left for good; the row stays, so that its numbers are never given out again.
  left_at timestamptz(3)
) with (fillfactor = 50);

create table registry.transitions (
  node_id text not null,
  status_seq int8 not null,
  incarnation int8 not null,
  from_status text,
  to_status text not null,
  reason text,
  evidence jsonb,
  at timestamptz(3) not null,
  primary key (node_id, status_seq)
);
${outboxTable('registry')}`;
