export { SLOW_POLICY, type SlowPolicy } from './domain/slow-consumer.js';
export type { WatchStart } from './domain/watch-cursor.js';
export { concerns, type WatchedKeys, type WatchFilter, watchFilter } from './domain/watch-filter.js';
export { type ChangeJson, changeJson } from './events.js';
export type {
  ChangeSource,
  LogPage,
  LogQuery,
  PresentEntry,
  PresentPage,
  PresentQuery,
  SourceReset,
} from './history/change-source.js';
export { SharedRequest } from './history/shared-request.js';
export type { LongPollAnswer } from './http/long-polls.js';
export { registerWatchRoutes, type WatchRoutesOptions } from './http/watch-routes.js';
export { WatchHub, type WatchHubOptions } from './watch-hub.js';
