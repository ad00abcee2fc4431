import { outboxTable } from '#libs/control-service';

/** What the checks of each node have found, and the facts that the world has yet to be told. */
export const migration0001 = `
-- An instance lives while its row is young by this clock: asked only while the bus does not carry signs of life.
create table health.instances (
  instance_id text primary key,
  renewed_at timestamptz not null
) with (fillfactor = 50);

-- One row per node, written again every few seconds: a row per probe would grow for ever.
create table health.nodes (
  node_id text primary key,
  incarnation int8 not null,
  seq int8 not null,
  state text not null,
  reason text,
  consecutive jsonb not null,
  observer text not null,
  -- The last few results, the newest first.
  recent jsonb not null,
  updated_at timestamptz(3) not null
) with (fillfactor = 50);

-- Pruned by number and by age.
create table health.transitions (
  node_id text not null,
  seq int8 not null,
  incarnation int8 not null,
  from_state text not null,
  to_state text not null,
  reason text,
  observer text not null,
  evidence jsonb,
  at timestamptz(3) not null,
  primary key (node_id, seq)
);
${outboxTable('health')}`;
