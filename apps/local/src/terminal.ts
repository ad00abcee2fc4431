import type { LogFile } from './files/log-file.js';

/** What the person in front of the cluster sees; the same goes into the log of the parent. */
export class Terminal {
  constructor(
    private readonly out: NodeJS.WritableStream,
    private readonly log: LogFile,
  ) {
    // A terminal that was closed, or a pipe whose reader has left, must not end the cluster.
    out.on('error', (error) => this.note('warn', `cannot print: ${error.message}`));
  }

  say(message: string): void {
    this.out.write(`${message}\n`);
    this.note('info', message);
  }

  warn(message: string): void {
    this.out.write(`${message}\n`);
    this.note('warn', message);
  }

  note(level: 'info' | 'warn' | 'error', msg: string): void {
    const line = { level, time: new Date().toISOString(), service: 'local', msg };
    this.log.write(Buffer.from(`${JSON.stringify(line)}\n`));
  }
}

export function duration(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

/** The three commands to try, made for this very cluster. */
export function banner(options: { address: string; runFolder: string; leaderId: string }): string {
  const { address, runFolder, leaderId } = options;
  const resource = `${address}/v1/namespaces/shop`;
  return `
Try, in another terminal:
  publish
    curl -X PUT -H 'Content-Type: application/json' -d '{"limit": 10}' ${resource}/configs/checkout
  watch
    curl -N '${resource}/watch?initial=true'
  kill the leader, see who leads then; publish again: nothing is lost
    kill -9 $(cat ${quoted(`${runFolder}/${leaderId}.pid`)}); sleep 1; curl -s ${address}/v1/cluster

Ctrl-C stops everything; the data stay.`;
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
