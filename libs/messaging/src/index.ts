export {
  type AskedRequest,
  Bus,
  type BusCounts,
  type BusOptions,
  type FactFamily,
  type FamilyPayload,
} from './bus.js';
export { BusError, type BusErrorKind } from './bus-error.js';
export { BusErrorFilter, BusStrategy } from './bus-strategy.js';
export type { BusLogger, ConnectionSettings } from './connection.js';
export { FactJournal, type JournalEntry, type JournalRows } from './fact-journal.js';
export { FactOutbox, type OutboxFact, type OutboxRows } from './fact-outbox.js';
export { type Announced, FACT_STREAM, FactStream, type StoredFact } from './fact-stream.js';
