/**
 * What the leader found wrong in `config.entries`, and what it did about it, in the same transaction. The consistency
 * service reads it, and the state and the log that replicas are compared with. A new table only: no lock on the others.
 */
export const migration0002 = `
create table config.entry_findings (
  id int8 generated always as identity primary key,
  namespace text collate "C" not null,
  key text collate "C" not null,
  class text not null check (class in ('missing', 'mismatch', 'extra')),
  -- {version, contentType, checksum}; null = does not stand there.
  expected jsonb,
  found jsonb,
  repaired boolean not null,
  why text not null,
  -- Head, when it was looked at.
  version int8 not null,
  leader_id text not null,
  at timestamptz(3) not null
);

grant usage on schema config to holdfast_consistency;
grant select on config.head, config.changes, config.change_ops, config.entries, config.entry_findings to holdfast_consistency;
`;
