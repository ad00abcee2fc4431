/** How each node is brought up to date, and which instances share the work. */
export const migration0002 = `
-- An instance lives while its row is young by this clock.
create table sync.instances (
  instance_id text primary key,
  renewed_at timestamptz not null
) with (fillfactor = 50);

-- Null in rows that an earlier release wrote.
alter table sync.nodes
  add column lag_ms int8,
  add column state text,
  add column way text,
  add column batch_changes int,
  add column observer text;
`;
