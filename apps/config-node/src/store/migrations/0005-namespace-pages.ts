/**
 * The log of one namespace is found by that namespace's own rows, however much else was published; the few changes of
 * kind 'lost', which concern every namespace, by an index that holds nothing else.
 *
 * Publishes wait while the first is built, about a second for a million operations. With a log so large that this is too
 * long, an operator builds it before the upgrade: `create index concurrently change_ops_by_namespace on …`.
 */
export const migration0005 = `
create index if not exists change_ops_by_namespace on config.change_ops (namespace, version);
create index if not exists changes_lost on config.changes (version) where kind = 'lost';
`;
