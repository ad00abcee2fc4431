export { EventLoopLag } from './event-loop.js';
export { createLogger, type Logger, type LoggerOptions } from './logger.js';
export { LATENCY_BUCKETS_S, Metrics, type Registry } from './metrics.js';
export { Readiness, type ReadinessCheck, type ReadinessReport } from './readiness.js';
