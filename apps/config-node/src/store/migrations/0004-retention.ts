/**
 * How far back each namespace's history is whole. It is raised by the transaction that removes operations, and never
 * lowered. A namespace without a row has all of its history. A new table only: no lock on the others.
 */
export const migration0004 = `
create table config.log_floors (
  namespace text collate "C" primary key,
  -- The first version from which the namespace's changes can be replayed. Of what is older only a part may stand here.
  floor int8 not null check (floor > 1)
);
create index log_floors_by_floor on config.log_floors (floor);

grant select on config.log_floors to holdfast_failover, holdfast_sync, holdfast_consistency;
`;
