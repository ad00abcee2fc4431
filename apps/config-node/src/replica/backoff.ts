import { sleep } from '#libs/kernel';

/** Waits so long, or until the signal aborts: then false. */
export async function backOff(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(ms, signal);
    return true;
  } catch (error) {
    if (!signal.aborted) throw error;
    return false;
  }
}
