/** The evidence behind a status, and who is kept out of the rotation: both outlive the process that heard of them. */
export const migration0002 = `
-- Null: given by a release that did not keep it.
alter table registry.nodes add column standing jsonb;

-- The greatest seq counts. Kept apart from the nodes: one that is not registered yet may be held.
create table registry.holds (
  node_id text primary key,
  seq int8 not null,
  hold jsonb not null
) with (fillfactor = 50);
`;
