import type { Logger, Metrics } from '#libs/observability';
import type { SimProcess } from '../world/process.js';

const nothing: unknown = new Proxy(() => undefined, {
  get: (_target, name) => (name === 'then' ? undefined : nothing),
  apply: () => nothing,
});

/** Metrics that nobody reads: whatever is asked of them, they do nothing. */
export const noMetrics = nothing as Metrics;

/** What a process says at `info` and above goes into the trace. */
export function traceLogger(process: SimProcess): Logger {
  const say = (level: string) => (fields: unknown, text?: string) => {
    const said = typeof fields === 'string' ? fields : `${text ?? ''} ${JSON.stringify(fields, withErrors)}`;
    process.world.note(`${level} ${said.slice(0, 300)}`, process.name);
  };
  const quiet = () => undefined;
  return {
    trace: quiet,
    debug: quiet,
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
  } as unknown as Logger;
}

function withErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}
