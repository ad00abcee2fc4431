import { CHANGE_COLUMNS, OPERATION_COLUMNS } from '../log-rows.js';

/** $1 after, $2 limit, $3 bytes. The first change is always there, so that every page makes progress. */
export const ALL_CHANGES = `with f as (
    select coalesce(max(floor), 1) as floor from config.log_floors
  ), c as (
    select * from (
      select *, sum(bytes) over w as bytes_so_far, row_number() over w as nth
      from (select * from config.changes where version > $1 order by version limit $2) as next
      window w as (order by version)
    ) as sized where bytes_so_far <= $3 or nth = 1
  )
  select f.floor, ${CHANGE_COLUMNS}, ${OPERATION_COLUMNS}, o.value
  from f left join c on f.floor <= $1 + 1
  left join config.change_ops as o on o.version = c.version
  order by c.version, o.ordinal`;

/** The next version after `after` with an operation in one of the namespaces $4, or, when $5, with lost versions. */
const nextVersion = (after: string) => `(
    select min(first.version) from (
      select found.version from unnest($4::text[]) as n (namespace) cross join lateral (
        select t.version from config.change_ops as t
        where t.namespace = n.namespace and t.version > ${after} order by t.version limit 1
      ) as found
      union all
      (select l.version from config.changes as l
       where $5 and l.kind = 'lost' and l.version > ${after} order by l.version limit 1)
    ) as first
  )`;

/**
 * $1 after, $2 limit, $3 bytes, $4 namespaces, $5 with lost versions. The log is walked from version to version over the
 * index (namespace, version): a page costs one look-up for each of its changes, whatever other namespaces hold, and
 * however many operations a change has. One change beyond the page says whether there is more.
 *
 * `through` is the version up to which the page is complete: its last one, or the newest of the log when nothing follows.
 */
export const CHANGES_OF_NAMESPACES = `with recursive f as (
    select coalesce(max(floor), 1) as floor from config.log_floors where namespace = any($4)
  ), walked as (
    select c.version, c.bytes::numeric as bytes_so_far, 1 as nth
    from config.changes as c where c.version = ${nextVersion('$1')}
    union all
    select c.version, w.bytes_so_far + c.bytes, w.nth + 1
    from walked as w join config.changes as c on c.version = ${nextVersion('w.version')}
    where w.nth = 1 or (w.nth <= $2 and w.bytes_so_far <= $3)
  ), page as (
    select version from walked where nth = 1 or (nth <= $2 and bytes_so_far <= $3)
  ), t as (
    select case when (select count(*) from walked) > (select count(*) from page)
      then (select max(version) from page) else (select max(version) from config.changes) end as through
  )
  select f.floor, t.through, ${CHANGE_COLUMNS}, ${OPERATION_COLUMNS}, o.value
  from f cross join t
  left join page on f.floor <= $1 + 1
  left join config.changes as c on c.version = page.version
  left join config.change_ops as o on o.version = c.version and o.namespace = any($4)
  order by c.version, o.ordinal`;
