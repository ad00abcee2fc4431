/** The last operation of `k` in the log: what its entry must be. */
const LAST_OPERATION = `select l.version, l.op, l.value, l.content_type, l.checksum from config.change_ops as l
    where l.namespace = k.namespace and l.key = k.key order by l.version desc, l.ordinal desc limit 1`;

/**
 * A log without its beginning proves nothing about a key that it does not have; one whose beginning retention removed
 * still proves it of what is said to be younger than that.
 */
const LOG_IS_WHOLE = `coalesce(
    e.version >= (select f.floor from config.log_floors as f where f.namespace = k.namespace),
    exists (select from config.log_floors)
      or coalesce((select coalesce(lost_from, version) from config.changes order by version limit 1), 1) = 1)`;

/** Null = as it should be. The hash is of the bytes, not the one that the row says of itself. */
const CLASS = `case
    when o.version is null and e.version is null then null
    when o.version is null and (${LOG_IS_WHOLE}) then 'extra'
    when o.version is null then case when sha256(e.value) <> e.checksum then 'mismatch' end
    when o.op = 'delete' then case when e.version is not null then 'extra' end
    when e.version is null then 'missing'
    when (e.version, e.content_type, e.checksum, sha256(e.value)) is distinct from
      (o.version, o.content_type, o.checksum, o.checksum) then 'mismatch'
  end`;

/**
 * The next keys after ($1, $2) that the log or the state has, at most $3 and $4 bytes beyond the first, in one statement
 * and so of one moment: those that are wrong, and the last one, from which to go on. The log is walked from key to key
 * over its index, however many operations a key has.
 */
export const SCRUB_SLICE = `
with recursive logged as (
  (select namespace, key, 1 as n from config.change_ops where (namespace, key) > ($1, $2) order by namespace, key limit 1)
  union all
  select next.namespace, next.key, l.n + 1 from logged as l cross join lateral (
    select namespace, key from config.change_ops where (namespace, key) > (l.namespace, l.key)
    order by namespace, key limit 1
  ) as next where l.n < $3
), held as (
  select namespace, key from config.entries where (namespace, key) > ($1, $2) order by namespace, key limit $3
), sized as (
  select k.namespace, k.key, row_number() over w as nth, sum(coalesce(octet_length(e.value), 0)) over w as bytes
  from (
    select namespace, key from logged union select namespace, key from held order by namespace, key limit $3
  ) as k left join config.entries as e on e.namespace = k.namespace and e.key = k.key
  window w as (order by k.namespace, k.key)
), looked as (
  select k.namespace, k.key, ${CLASS} as class, k.nth, max(k.nth) over () as last
  from sized as k
  left join lateral (${LAST_OPERATION}) as o on true
  left join config.entries as e on e.namespace = k.namespace and e.key = k.key
  where k.bytes <= $4 or k.nth = 1
)
select namespace, key, class, last as looked from looked where class is not null or nth = last
order by namespace, key`;

const EXPECTED = `case when o.op = 'put' then jsonb_build_object('version', o.version, 'contentType', o.content_type,
      'checksum', 'sha256:' || encode(o.checksum, 'hex')) end`;
const FOUND = `case when e.version is not null then jsonb_build_object('version', e.version, 'contentType',
      e.content_type, 'checksum', 'sha256:' || encode(sha256(e.value), 'hex')) end`;

/** Which of these keys are wrong, as it is now; after head was locked it stays so. */
export const LOOK_AT = `
select * from (
  select k.namespace, k.key, ${CLASS} as class, ${EXPECTED} as expected, ${FOUND} as found
  from unnest($1::text[], $2::text[]) as k (namespace, key)
  left join lateral (${LAST_OPERATION}) as o on true
  left join config.entries as e on e.namespace = k.namespace and e.key = k.key
) as looked where class is not null`;

/**
 * Sets the entries of these keys right by the log, where the verdict $3 on a key is 'scrub', after head was locked; writes
 * down what was found. What is left as it is, is written down once an hour. The latest 10,000 findings are kept.
 */
export const SET_RIGHT = `
with seen as (
  select k.namespace, k.key, k.verdict, ${CLASS} as class, o.version, o.value, o.content_type, o.checksum, c.created_at,
    ${EXPECTED} as expected, ${FOUND} as found
  from unnest($1::text[], $2::text[], $3::text[]) as k (namespace, key, verdict)
  left join lateral (${LAST_OPERATION}) as o on true
  left join config.changes as c on c.version = o.version
  left join config.entries as e on e.namespace = k.namespace and e.key = k.key
), wrong as (
  select *, verdict = 'scrub' and (class = 'extra' or expected is not null) as repaired from seen where class is not null
), removed as (
  delete from config.entries as e using wrong as w
  where w.repaired and w.class = 'extra' and e.namespace = w.namespace and e.key = w.key
), stored as (
  insert into config.entries (namespace, key, value, content_type, checksum, version, created_at)
  select namespace, key, value, content_type, checksum, version, created_at from wrong where repaired and class <> 'extra'
  on conflict (namespace, key) do update set value = excluded.value, content_type = excluded.content_type,
    checksum = excluded.checksum, version = excluded.version, created_at = excluded.created_at
), noted as (
  insert into config.entry_findings (namespace, key, class, expected, found, repaired, why, version, leader_id, at)
  select w.namespace, w.key, w.class, w.expected, w.found, w.repaired,
    w.verdict, $4, $5, clock_timestamp()
  from wrong as w
  where w.repaired or not exists (
    select from config.entry_findings as f where f.namespace = w.namespace and f.key = w.key and not f.repaired
      and f.at > clock_timestamp() - interval '1 hour'
  )
), pruned as (
  delete from config.entry_findings where id <= (select max(id) - 10000 from config.entry_findings)
)
select namespace, key, class, repaired, verdict, expected, found from wrong`;
