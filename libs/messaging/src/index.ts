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
export { Answers, OnEvent } from './bus-patterns.js';
export { BusErrorFilter, BusStrategy, speakerIn } from './bus-strategy.js';
export type { BusLogger, ConnectionSettings } from './connection.js';
export { Envelope } from './envelope.js';
export { DurableEvents, type PublishOutcome, type StoredEvent } from './events/durable-events.js';
export { EventJournal, type JournalEntry, type JournalRows } from './events/event-journal.js';
export { EventOutbox, type OutboxEvent, type OutboxRows } from './events/event-outbox.js';
