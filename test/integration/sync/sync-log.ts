import type { Client } from 'pg';
import { chainAfter, checksumOf, GENESIS_CHAIN } from '#libs/replica';

const VALUE_BYTES = 100;
const PAGE = 10_000;

/** A log with a true chain, and the state and head that it leads to: as a leader would have left it, but sooner. */
export async function fillLog(admin: Client, changes: number, keys: number): Promise<void> {
  let chain = GENESIS_CHAIN;
  for (let from = 1; from <= changes; from += PAGE) {
    const versions = Array.from({ length: Math.min(PAGE, changes - from + 1) }, (_, i) => from + i);
    const values = versions.map((version) => Buffer.from(`value ${version} `.padEnd(VALUE_BYTES, 'x')));
    const chains = versions.map((version, i) => {
      const value = values[i] as Buffer;
      const type = { contentType: 'text/plain', checksum: checksumOf(value) };
      const operations = [
        { op: 'put' as const, namespace: 'bench', key: keyOf(version, keys), value, ...type },
      ];
      chain = chainAfter(chain, {
        version,
        term: 1,
        kind: 'change',
        author: null,
        comment: null,
        operations,
      });
      return Buffer.from(chain, 'hex');
    });
    await admin.query(
      `insert into config.changes (version, term, chain, kind, bytes, created_at)
        select v, 1, c, 'change', ${VALUE_BYTES}, '2026-01-01' from unnest($1::int8[], $2::bytea[]) as t (v, c)`,
      [versions, chains],
    );
    await admin.query(
      `insert into config.change_ops (version, ordinal, namespace, key, op, value, content_type, checksum, created)
        select v, 0, 'bench', k, 'put', b, 'text/plain', sha256(b), v <= $4
        from unnest($1::int8[], $2::text[], $3::bytea[]) as t (v, k, b)`,
      [versions, versions.map((version) => keyOf(version, keys)), values, keys],
    );
  }
  await admin.query(
    `insert into config.entries (namespace, key, value, content_type, checksum, version, created_at)
      select namespace, key, value, content_type, checksum, version, '2026-01-01' from config.change_ops where version > $1`,
    [changes - keys],
  );
  await admin.query("update config.head set version = $1, chain = decode($2, 'hex'), term = 1", [
    changes,
    chain,
  ]);
  await admin.query('analyze config.change_ops, config.entries, config.changes');
  await admin.query('checkpoint');
}

function keyOf(version: number, keys: number): string {
  const i = version % keys;
  return `group-${i >> 10}/key-${i}`;
}
