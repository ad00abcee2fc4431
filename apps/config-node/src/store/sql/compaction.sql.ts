/** $1: the next namespace that the log has something of. */
export const NEXT_NAMESPACE =
  'select namespace from config.change_ops where namespace > $1 order by namespace limit 1';

/** The first change at or above $1, and whether it is $2 ms old. */
export const OLDER_THAN = `
select version, created_at <= clock_timestamp() - make_interval(secs => $2::float8 / 1000) as older
from config.changes where version >= $1 order by version limit 1`;

/** Where the registry saw the nodes last. */
export const POSITIONS = `
select node_id as "nodeId", version, (extract(epoch from last_heartbeat_at) * 1000)::int8 as "seenAtMs",
  (extract(epoch from clock_timestamp()) * 1000)::int8 as "nowMs"
from registry.nodes where kind = 'config-node' and left_at is null and last_heartbeat_at is not null`;

/**
 * The next $3 keys of namespace $1 after $2, and of each the oldest operations, at most $6, that ceased to be the state
 * by version $4: with what superseded them, and the oldest version among the key's latest $5 (null = does not count).
 * A key without such operations has one row of its name alone. Values are not read, only their sizes.
 */
export const SLICE = `
with recursive keys as (
  (select key, 1 as nth from config.change_ops where namespace = $1 and key > $2 order by key limit 1)
  union all
  select next.key, k.nth + 1 from keys as k cross join lateral (
    select key from config.change_ops where namespace = $1 and key > k.key order by key limit 1
  ) as next where k.nth < $3
)
select k.key, o.version, o.ordinal, o.op, o.superseded_by as "supersededBy", o.bytes, kept.version as "keepFrom"
from keys as k
left join lateral (
  select version from config.change_ops where namespace = $1 and key = k.key
  order by version desc offset coalesce($5::int, 1) - 1 limit 1
) as kept on $5 is not null
left join lateral (
  select * from (
    select version, ordinal, op, coalesce(octet_length(value), 0) as bytes,
      lead(version) over (order by version) as superseded_by
    from (
      select version, ordinal, op, value from config.change_ops where namespace = $1 and key = k.key
      order by version limit $6::int + 1
    ) as oldest
  ) as with_next
  where coalesce(superseded_by, version) <= $4 and (superseded_by is not null or op = 'delete')
  order by version limit $6
) as o on true
order by k.nth, o.version`;

/**
 * Removes operations, after head was locked, and raises the floors of their namespaces. What was superseded is so still:
 * the slice may have been read from a primary that was replaced since.
 */
export const REMOVE_OPERATIONS = `
with doomed as (
  select d.* from unnest($1::int8[], $2::int[], $3::text[], $4::text[], $5::int8[])
    as d (version, ordinal, namespace, key, until)
  where d.until = d.version or exists (
    select from config.change_ops as s where s.namespace = d.namespace and s.key = d.key and s.version = d.until
  )
), removed as (
  delete from config.change_ops as o using doomed as d
  where o.version = d.version and o.ordinal = d.ordinal and o.namespace = d.namespace and o.key = d.key
  returning o.version, o.namespace, d.until
), raised as (
  insert into config.log_floors as f (namespace, floor)
  select namespace, max(until) + 1 from removed group by namespace
  on conflict (namespace) do update set floor = greatest(f.floor, excluded.floor)
)
select version, count(*)::int as operations from removed group by version`;

/**
 * Removes changes ($1) of which nothing is left. One that is no longer whole forgets its request: its answer could not be
 * given again.
 */
export const REMOVE_CHANGES = `
with emptied as (
  delete from config.changes as c where c.version = any ($1::int8[]) and c.kind = 'change'
    and not exists (select from config.change_ops as o where o.version = c.version)
)
update config.changes as c set request_id = null, request_hash = null, request_kind = null
where c.version = any ($1::int8[]) and c.request_id is not null
  and exists (select from config.change_ops as o where o.version = c.version)`;
