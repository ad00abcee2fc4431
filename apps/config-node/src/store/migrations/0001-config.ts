/** The change log, the state it leads to, and the row that orders and fences both. */
export const migration0001 = `
-- One row: the sequencer and the fence. Every batch updates it, so its page keeps room for new versions (HOT).
create table config.head (
  id int primary key check (id = 1),
  cluster_id uuid not null,
  version int8 not null,
  chain bytea not null check (octet_length(chain) = 32),
  term int8 not null,
  leader_id text,
  incarnation int8 not null,
  attempt int8 not null,
  elected_at timestamptz
) with (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

insert into config.head (id, cluster_id, version, chain, term, leader_id, incarnation, attempt)
values (1, gen_random_uuid(), 0, decode(repeat('00', 32), 'hex'), 0, null, 0, 0);

-- Rows that linearizable reads update, so that they must commit as a write would without queueing behind a batch.
create table config.read_fence (
  slot int primary key,
  n int8 not null
) with (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

insert into config.read_fence (slot, n) select slot, 0 from generate_series(0, 7) as slot;

create table config.changes (
  version int8 primary key,
  term int8 not null,
  chain bytea not null,
  kind text not null check (kind in ('change', 'lost')),
  lost_from int8,
  lost_to int8,
  author text,
  comment text,
  request_id text unique,
  request_hash bytea,
  request_kind text,
  -- The sum of its values' bytes: pages of the log are cut by it without touching the values.
  bytes int8 not null,
  created_at timestamptz(3) not null,
  check ((kind = 'lost') = (lost_from is not null and lost_to is not null))
);
create index changes_by_term on config.changes (term, version);

create table config.change_ops (
  version int8 not null,
  ordinal int not null,
  namespace text collate "C" not null,
  key text collate "C" not null,
  op text not null check (op in ('put', 'delete')),
  value bytea,
  content_type text,
  checksum bytea,
  created boolean not null,
  primary key (version, ordinal),
  check ((op = 'put') = (value is not null and content_type is not null and checksum is not null))
);
create index change_ops_by_key on config.change_ops (namespace, key, version desc);

create table config.entries (
  namespace text collate "C" not null,
  key text collate "C" not null,
  value bytea not null,
  content_type text not null,
  checksum bytea not null,
  version int8 not null,
  created_at timestamptz(3) not null,
  primary key (namespace, key)
) with (fillfactor = 80);

-- Compressing with pglz takes several times as long as storing, while head is locked: lz4 where the server has it,
-- else none.
do $$ begin
  if exists (select from pg_settings where name = 'default_toast_compression' and 'lz4' = any (enumvals)) then
    alter table config.change_ops alter column value set compression lz4;
    alter table config.entries alter column value set compression lz4;
  else
    alter table config.change_ops alter column value set storage external;
    alter table config.entries alter column value set storage external;
  end if;
end $$;

-- Makes p_winner the leader of the next term, if head still says what the caller has seen: of any number of callers
-- with one p_seen_term exactly one gets a row. p_suspect is null when there has been no leader yet.
create function config.claim(
  p_seen_term int8, p_suspect text, p_winner text, p_incarnation int8, p_highest_term int8
) returns table (term int8, version int8, chain text, cluster_id uuid, elected_at timestamptz)
language sql security definer set search_path = pg_catalog, pg_temp as $$
  update config.head as h
     set term = greatest(h.term, p_highest_term) + 1, leader_id = p_winner, incarnation = p_incarnation, attempt = 0,
         elected_at = clock_timestamp()
   where h.id = 1 and h.term = p_seen_term and h.leader_id is not distinct from p_suspect
  returning h.term, h.version, encode(h.chain, 'hex'), h.cluster_id, h.elected_at
$$;
revoke all on function config.claim from public;

grant usage on schema config to holdfast_failover, holdfast_sync, holdfast_registry;
grant select on config.head to holdfast_failover, holdfast_sync, holdfast_registry;
grant select on config.changes, config.change_ops, config.entries to holdfast_failover, holdfast_sync;
grant execute on function config.claim to holdfast_failover;
`;
