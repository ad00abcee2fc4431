import type { Change, Head } from '#libs/contracts';
import { FailureLog, type Repeating, systemClock } from '#libs/kernel';
import type { Bus } from '#libs/messaging';
import type { Logger } from '#libs/observability';
import { packChanges } from '../domain/commit/packing.js';
import type { ReplicaHost } from '../replica/replica-host.js';

/** Tells the other nodes what this leader committed, and again and again where it stands. Nothing depends on it. */
export class Broadcaster {
  private term: number | undefined;
  private loop: Repeating | undefined;

  constructor(
    private readonly host: ReplicaHost,
    private readonly bus: Bus,
    private readonly everyMs: number,
    /** How long ago the database confirmed that this node leads. */
    private readonly confirmedAgoMs: () => number | null,
    private readonly logger: Logger,
  ) {}

  begin(term: number): void {
    this.term = term;
    this.loop ??= new FailureLog(this.logger, systemClock).repeat(
      'publishing the head',
      () => this.tellHead(),
      {
        everyMs: this.everyMs,
      },
    );
    this.loop.trigger();
  }

  end(): void {
    this.term = undefined;
  }

  changes(changes: readonly Change[]): void {
    const last = changes.at(-1);
    if (this.term === undefined || last === undefined || !this.bus.connected) return;
    const messages = packChanges(changes);
    let sent = 0;
    for (const [index, message] of messages.entries()) {
      sent += message.length;
      const reached = index === messages.length - 1 ? last : changes[sent - 1];
      const { version, chain } = reached ?? last;
      const head: Head = { term: this.term, version, chain };
      const confirmedAgoMs = this.confirmedAgoMs();
      this.bus.publish('sync.changes', {
        leaderId: this.host.nodeId,
        head,
        changes: message,
        confirmedAgoMs,
      });
    }
  }

  async stop(): Promise<void> {
    this.end();
    await this.loop?.stop();
  }

  private tellHead(): void {
    if (this.term === undefined) return;
    const { version, chain } = this.host.replica;
    const confirmedAgoMs = this.confirmedAgoMs();
    this.bus.publish('sync.head', {
      leaderId: this.host.nodeId,
      term: this.term,
      version,
      chain,
      confirmedAgoMs,
    });
  }
}
