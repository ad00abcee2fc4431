export { type BackoffPolicy, backoffCeilingMs, fullJitterMs } from './backoff.js';
export { type Clock, systemClock } from './clock.js';
export { type Deferred, deferred, sleep, TimeoutError, withTimeout } from './deferred.js';
export { secretMatcher, sha256 } from './hashing.js';
export { InvariantViolation, invariant, unreachable } from './invariant.js';
export { rendezvousOwner } from './rendezvous.js';
export { type Repeating, type RepeatOptions, repeat } from './repeat.js';
export { type Rng, seededRng, systemRng } from './rng.js';
export { compareUtf8 } from './utf8.js';
