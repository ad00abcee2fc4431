/**
 * What nodes had to discard because the database did not have it any more: acknowledged changes, kept in a file on the
 * node's disk. A new table only: no lock on the others.
 */
export const migration0003 = `
create table config.discarded_histories (
  id int8 generated always as identity primary key,
  node_id text not null,
  -- The first and the last version that were discarded.
  from_version int8 not null,
  to_version int8 not null,
  -- Of which so many changes were still at hand, and are in the file; null = none.
  changes int not null,
  file text,
  at timestamptz(3) not null default clock_timestamp()
);
grant select on config.discarded_histories to holdfast_consistency;
`;
