import { readFileSync } from 'node:fs';
import { isAlive, processTree } from './processes.js';
import { pause } from './wait.js';

/**
 * Kills a supervised process, and every successor that the supervisor starts, until it is told to stop: what was
 * only killed once is back before anything else can happen.
 */
export class KeptDown {
  private readonly pidFile: string;
  private stopping = false;
  private readonly running: Promise<void>;

  constructor(pidFile: string) {
    this.pidFile = pidFile;
    this.running = this.run();
  }

  /** Whether it is dead at this moment. */
  get isDown(): boolean {
    const pid = this.pid();
    return pid === undefined || !isAlive(pid);
  }

  /** Returns when it is no longer killed; the supervisor starts it again when it sees fit. */
  async release(): Promise<void> {
    this.stopping = true;
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      const pid = this.pid();
      if (pid !== undefined && isAlive(pid)) this.kill(pid);
      await pause(5);
    }
  }

  private kill(pid: number): void {
    for (const member of processTree(pid)) {
      try {
        process.kill(member, 'SIGKILL');
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
      }
    }
  }

  /** undefined between two lives. */
  private pid(): number | undefined {
    try {
      const pid = Number.parseInt(readFileSync(this.pidFile, 'utf8'), 10);
      return pid > 1 ? pid : undefined;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }
}
