import { type Logger, type LoggerOptions as PinoOptions, pino } from 'pino';
import { LogStream } from './log-stream.js';

export type { Logger };

export interface LoggerOptions {
  service: string;
  /** Node or instance id. */
  node: string;
  level: string;
}

/** JSON lines on standard output: `level time service node msg`, UTC. Values and tokens are never logged. */
export function createLogger(options: LoggerOptions): Logger {
  const settings: PinoOptions = {
    level: options.level,
    base: { service: options.service, node: options.node },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { error: pino.stdSerializers.err, err: pino.stdSerializers.err },
    redact: {
      paths: ['*.password', '*.clusterKey', '*.authorization', 'headers["holdfast-cluster-key"]'],
      censor: '***',
    },
  };
  return pino(settings, standardOutput());
}

let output: LogStream | undefined;

function standardOutput(): LogStream {
  if (output) return output;
  const stream = new LogStream(1);
  process.once('exit', () => stream.flushSync());
  output = stream;
  return stream;
}
