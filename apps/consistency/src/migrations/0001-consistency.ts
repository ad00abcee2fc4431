import { outboxTable } from '#libs/control-service';

/** What was found of every node, what was repaired, and the facts that the world has yet to be told. */
export const migration0001 = `
-- An instance lives while its row is young by this clock.
create table consistency.instances (
  instance_id text primary key,
  renewed_at timestamptz not null
) with (fillfactor = 50);

-- One row per node, written again after every round.
create table consistency.nodes (
  node_id text primary key,
  result text not null,
  reason text,
  since timestamptz(3) not null,
  checked_at timestamptz(3) not null,
  version int8 not null,
  observer text not null,
  differences jsonb not null,
  more int not null
) with (fillfactor = 50);

-- Rounds in a row that found the same are one row. Pruned by number.
create table consistency.rounds (
  id int8 generated always as identity primary key,
  observer text not null,
  rounds int8 not null,
  first_at timestamptz(3) not null,
  last_at timestamptz(3) not null,
  version int8 not null,
  match int not null,
  mismatch int not null,
  "unknown" int not null
) with (fillfactor = 50);

-- The audit: what stood there, what stands there now. Pruned by age.
create table consistency.repairs (
  id text primary key,
  place text not null,
  -- {namespace, key, class, expected, found}; null = a whole state.
  difference jsonb,
  namespace text,
  key text,
  outcome text not null,
  why text not null,
  version int8 not null,
  observer text not null,
  at timestamptz(3) not null,
  -- Of config.entry_findings, for what the leader repaired.
  finding_id int8 unique
);
create index repairs_by_place on consistency.repairs (place, at desc);
create index repairs_by_time on consistency.repairs (at desc);
${outboxTable('consistency')}`;
