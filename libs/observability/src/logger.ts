import { type Logger, pino } from 'pino';

export type { Logger };

export interface LoggerOptions {
  service: string;
  /** Node or instance id. */
  node: string;
  level: string;
}

/** JSON lines on standard output: `level time service node msg`, UTC. Values and tokens are never logged. */
export function createLogger(options: LoggerOptions): Logger {
  return pino({
    level: options.level,
    base: { service: options.service, node: options.node },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { error: pino.stdSerializers.err, err: pino.stdSerializers.err },
    redact: {
      paths: ['*.password', '*.clusterKey', '*.authorization', 'headers["holdfast-cluster-key"]'],
      censor: '***',
    },
  });
}
