/** Where each node stood when it was last seen. */
export const migration0001 = `
create table sync.nodes (
  node_id text primary key,
  incarnation int8 not null,
  version int8 not null,
  head int8 not null,
  seen_at timestamptz(3) not null
) with (fillfactor = 50);
`;
