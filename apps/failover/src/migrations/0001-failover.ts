import { outboxTable } from '#libs/control-service';

/** Who watches, what they judged, and every change of leader. */
export const migration0001 = `
-- A witness lives while its row is younger than 2 s by this clock: the only one that all of them share.
create table failover.witnesses (
  instance_id text primary key,
  renewed_at timestamptz not null
) with (fillfactor = 50);

-- What witnesses ask and answer each other about a node when the bus does not carry it.
create table failover.views (
  instance_id text not null,
  node_id text not null,
  incarnation int8 not null,
  reason text not null,
  view text not null,
  agrees boolean not null,
  -- It suspects the node itself and wants to know what the others see.
  asks boolean not null,
  at timestamptz not null,
  primary key (instance_id, node_id)
) with (fillfactor = 50);

-- The verdict that stands on each node; seq rises with every change, so that two witnesses count one verdict once.
create table failover.verdicts (
  node_id text primary key,
  incarnation int8 not null,
  seq int8 not null,
  verdict text not null,
  reason text,
  judged_by text not null,
  confirmed_by jsonb not null,
  evidence jsonb not null,
  at timestamptz(3) not null
);

create table failover.elections (
  term int8 primary key,
  leader_id text not null,
  leader_address text not null,
  incarnation int8 not null,
  previous_leader_id text,
  version int8 not null,
  reason text not null,
  evidence jsonb not null,
  elected_by text not null,
  elected_at timestamptz(3) not null,
  detect_ms float8 not null,
  elect_ms float8 not null
);
${outboxTable('failover')}`;
