import { WatchHub, type WatchHubOptions } from '#libs/watch';
import type { LogFollower } from './log-follower.js';

/** A watch begins where the cluster stands, which a gateway knows only while it follows the log. */
export class FollowingHub extends WatchHub {
  constructor(
    private readonly follower: LogFollower,
    options: Omit<WatchHubOptions, 'source'>,
  ) {
    super({ ...options, source: follower });
  }

  override async admit(start: Parameters<WatchHub['admit']>[0]): Promise<void> {
    await this.follower.ready();
    await super.admit(start);
  }
}
