/** $1 namespace and $2 key after which, $3 limit; with where head was in the same snapshot, also when there is no row. */
export const ENTRIES_PAGE = `
select h.version as "headVersion", encode(h.chain, 'hex') as "headChain", e.namespace, e.key, e.version,
  e.content_type as "contentType", 'sha256:' || encode(e.checksum, 'hex') as checksum
from config.head as h left join (
  select namespace, key, version, content_type, checksum from config.entries
  where (namespace, key) > ($1, $2) order by namespace, key limit $3
) as e on true
where h.id = 1 order by e.namespace, e.key`;

/**
 * Keys that changes after $1, up to $2, touched, after ($3, $4), at most $5: which was the first of these changes, and what
 * the key was at $1 by its last operation up to then; without a version when it was not there.
 */
export const CHANGED_SINCE = `
select k.namespace, k.key, k.touched_at as "touchedAt", o.version, o.content_type as "contentType",
  'sha256:' || encode(o.checksum, 'hex') as checksum
from (
  select namespace, key, min(version) as touched_at from config.change_ops
  where version > $1 and version <= $2 and (namespace, key) > ($3, $4)
  group by namespace, key order by namespace, key limit $5
) as k left join lateral (
  select case when l.op = 'put' then l.version end as version, l.content_type, l.checksum from config.change_ops as l
  where l.namespace = k.namespace and l.key = k.key and l.version <= $1
  order by l.version desc, l.ordinal desc limit 1
) as o on true
order by k.namespace, k.key`;
