import { type ChildProcess, spawn } from 'node:child_process';

/**
 * A shell that waits for the end of its input, which comes even when the test process is killed, and then stops what
 * is left of a cluster: first as Ctrl-C would, then everything that names the cluster's folder.
 */
const SCRIPT = `
read -r _
kill -INT "$1" 2>/dev/null && sleep 20
for file in $(grep -lF "$HOLDFAST_REAPED" /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null); do
  pid=\${file#/proc/}; pid=\${pid%%/*}
  [ "$pid" = "$$" ] || kill -9 "$pid" 2>/dev/null
done
rm -rf "$2"
`;

export function startReaper(pid: number, home: string, removeHome: boolean): ChildProcess {
  const reaper = spawn('sh', ['-c', SCRIPT, 'reaper', String(pid), removeHome ? home : ''], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    env: { PATH: process.env.PATH, HOLDFAST_REAPED: home },
  });
  reaper.unref();
  return reaper;
}
