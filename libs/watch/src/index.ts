export type {
  ChangeSource,
  LogPage,
  LogQuery,
  PresentEntry,
  PresentPage,
  PresentQuery,
  SourceReset,
} from './change-source.js';
export { SLOW_POLICY, type SlowPolicy, type WatchStart } from './domain/watch-cursor.js';
export { concerns, type Watched, type WatchFilter, watchFilter } from './domain/watch-filter.js';
export { type ChangeJson, changeJson } from './events.js';
export type { LongPollAnswer } from './long-polls.js';
export { SharedQuestion } from './shared-question.js';
export { WatchHub, type WatchHubOptions } from './watch-hub.js';
export { registerWatchRoutes, type WatchRoutesOptions } from './watch-routes.js';
