/**
 * The entries after ($1, $2), at most $3 and $4 bytes beyond the first: a size is known without reading its value. With
 * where head stood in the same snapshot, also when there is no entry.
 */
export const ENTRIES_PAGE = `
select h.version as head_version, encode(h.chain, 'hex') as head_chain,
  e.namespace, e.key, e.value, e.content_type, e.checksum, e.version, e.created_at
from config.head as h left join (
  select namespace, key, value, content_type, checksum, version, created_at from (
    select *, sum(octet_length(value)) over w as bytes_so_far, row_number() over w as nth
    from (select * from config.entries where (namespace, key) > ($1, $2) order by namespace, key limit $3) as next
    window w as (order by namespace, key)
  ) as sized where bytes_so_far <= $4 or nth = 1
) as e on true
where h.id = 1 order by e.namespace, e.key`;

/**
 * The keys after ($3, $4) that changes after $1 and up to $2 touched, at most $5 and $6 bytes beyond the first: the first of
 * these changes, and the entry as the last operation up to $1 made it; no version where there was none.
 */
export const ENTRIES_TOUCHED = `
select namespace, key, touched_at, version, value, content_type, checksum, created_at from (
  select k.namespace, k.key, k.touched_at, o.version, o.value, o.content_type, o.checksum, c.created_at,
    sum(coalesce(octet_length(o.value), 0)) over w as bytes_so_far, row_number() over w as nth
  from (
    select namespace, key, min(version) as touched_at from config.change_ops
    where version > $1 and version <= $2 and (namespace, key) > ($3, $4)
    group by namespace, key order by namespace, key limit $5
  ) as k
  left join lateral (
    select case when l.op = 'put' then l.version end as version, l.value, l.content_type, l.checksum
    from config.change_ops as l where l.namespace = k.namespace and l.key = k.key and l.version <= $1
    order by l.version desc, l.ordinal desc limit 1
  ) as o on true
  left join config.changes as c on c.version = o.version
  window w as (order by k.namespace, k.key)
) as sized where bytes_so_far <= $6 or nth = 1 order by namespace, key`;

export const CHAINS = `select version, encode(chain, 'hex') as chain from config.changes where version = any($1::int8[])`;
