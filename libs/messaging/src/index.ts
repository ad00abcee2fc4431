export {
  type AskedRequest,
  Bus,
  type BusCounts,
  type BusOptions,
  type FactFamily,
  type FamilyPayload,
  type Speaker,
} from './bus.js';
export { BusError, type BusErrorKind } from './bus-error.js';
export { type AuthenticatedParts, BusMac, MAC_HEADER } from './bus-mac.js';
export { BusErrorFilter, BusStrategy, speakerIn } from './bus-strategy.js';
export type { BusLogger, ConnectionSettings } from './connection.js';
export { Envelope } from './envelope.js';
export { FactJournal, type JournalEntry, type JournalRows } from './events/event-journal.js';
export { FactOutbox, type OutboxFact, type OutboxRows } from './events/event-outbox.js';
export { type Announced, FactStream, type StoredFact } from './events/event-stream.js';
