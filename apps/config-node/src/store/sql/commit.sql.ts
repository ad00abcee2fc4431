/** True of the one head row only while the leader that sends it is still the leader, of the history that it knows. */
const FENCE = `id = 1 and term = $1 and leader_id = $2 and incarnation = $3 and attempt = $4 and version = $5 and chain = $6`;

/** A batch of none: the fence alone, committed as a write is, so that a demoted primary cannot answer it. */
export const CONFIRM_FENCE = `update config.head set attempt = attempt where ${FENCE}`;

/**
 * The whole batch in one statement: the fence is part of the commit. Everything is fed from \`head\`, so that nothing
 * happens when its row does not match, and a statement frozen on its way changes nothing when it wakes up too late.
 */
export const COMMIT = `
with head as (
  update config.head set version = $7, chain = $8 where ${FENCE}
  returning term, clock_timestamp()::timestamptz(3) as at
), logged as (
  insert into config.changes (version, term, chain, kind, lost_from, lost_to, author, comment,
    request_id, request_hash, request_kind, bytes, created_at)
  select c.version, head.term, c.chain, c.kind, c.lost_from, c.lost_to, c.author, c.comment,
    c.request_id, c.request_hash, c.request_kind, c.bytes, head.at
  from head, unnest($9::int8[], $10::bytea[], $11::text[], $12::int8[], $13::int8[], $14::text[], $15::text[],
      $16::text[], $17::bytea[], $18::text[], $19::int8[])
    as c(version, chain, kind, lost_from, lost_to, author, comment, request_id, request_hash, request_kind, bytes)
), operations as materialized (
  select o.*, head.at, case when o.is_put then substring($20::bytea from o.value_from for o.value_length) end as value
  from head, unnest($21::int8[], $22::int[], $23::text[], $24::text[], $25::bool[], $26::bool[], $27::text[],
      $28::bytea[], $29::bool[], $30::int[], $31::int[])
    as o(version, ordinal, namespace, key, is_put, is_last, content_type, checksum, created, value_from, value_length)
), logged_operations as (
  insert into config.change_ops (version, ordinal, namespace, key, op, value, content_type, checksum, created)
  select version, ordinal, namespace, key, case when is_put then 'put' else 'delete' end, value, content_type,
    checksum, created
  from operations
), removed as (
  delete from config.entries as e using operations as o
  where not o.is_put and o.is_last and e.namespace = o.namespace and e.key = o.key
), stored as (
  insert into config.entries as e (namespace, key, value, content_type, checksum, version, created_at)
  select namespace, key, value, content_type, checksum, version, at from operations where is_put and is_last
  on conflict (namespace, key) do update set value = excluded.value, content_type = excluded.content_type,
    checksum = excluded.checksum, version = excluded.version, created_at = excluded.created_at
)
select at from head`;
