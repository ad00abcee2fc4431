const PULSE_MS = 2;

/**
 * The most CPU time, in ms, that this thread spent between two pulses of a timer while the work was under way: what
 * any other request would have had to wait, on a machine that has nothing else to do.
 */
export async function longestTurnMs<Result>(
  work: () => Promise<Result>,
): Promise<{ result: Result; longestMs: number }> {
  let longestMs = 0;
  let last = process.threadCpuUsage();
  const note = () => {
    const { user, system } = process.threadCpuUsage(last);
    longestMs = Math.max(longestMs, (user + system) / 1_000);
    last = process.threadCpuUsage();
  };
  const pulse = setInterval(note, PULSE_MS);
  try {
    const result = await work();
    note();
    return { result, longestMs };
  } finally {
    clearInterval(pulse);
  }
}
