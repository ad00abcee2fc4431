import type { ServerResponse } from 'node:http';

/** The client's end of a stream. */
export interface WatchSink {
  write(frame: Buffer): void;
  /** What was written and has not left the process. */
  readonly unreadBytes: number;
  /** Lets what was written go out, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

export class ResponseSink implements WatchSink {
  constructor(private readonly response: ServerResponse) {}

  write(frame: Buffer): void {
    this.response.write(frame);
  }

  get unreadBytes(): number {
    return this.response.writableLength;
  }

  end(): void {
    this.response.end();
  }

  destroy(): void {
    this.response.destroy();
  }
}
