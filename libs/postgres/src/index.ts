export { bootstrapSql, SERVICE_ROLES, type ServiceRole } from './bootstrap.js';
export type { Connection, Queryable, Rows, Statement } from './connection.js';
export { DataError, isDataError, OutcomeUnknown, StatementRefused, StorageUnavailable } from './errors.js';
export { InstanceRows } from './instance-rows.js';
export { migrate, SchemaTooNew } from './migrate.js';
export { PrimaryPool } from './primary-pool.js';
export type { PostgresHost, PostgresSettings } from './settings.js';
