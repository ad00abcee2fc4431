import { changeFromWire, changeToWire, type PullReply } from '#libs/contracts';
import type { Bus } from '#libs/messaging';
import type { HeadFreshnessWatch } from './head-freshness-watch.js';
import type { Leadership } from './leadership.js';
import type { Peers } from './peers.js';
import type { PollDoor } from './poll-door.js';
import type { ReplicaHost } from './replica-host.js';
import type { Replication } from './replication.js';

/** Bytes of values in a reply to `sync.pull`: what JSON makes of them must fit into a message. */
const PULL_BYTES = 256 * 1024;

/** Brings what is said on the bus to whom it concerns. */
export class BusListener {
  private readonly stops: (() => void)[] = [];
  private stopChanges: (() => void) | undefined;

  constructor(
    private readonly bus: Bus,
    private readonly host: ReplicaHost,
    private readonly peers: Peers,
    private readonly leadership: Leadership,
    private readonly replication: Replication,
    private readonly poll: PollDoor,
    private readonly freshness: HeadFreshnessWatch,
    /** Has head read soon. */
    private readonly readHead: () => void,
  ) {}

  start(): void {
    const { bus, host } = this;
    this.freshness.start();
    this.follow();
    this.stops.push(
      bus.subscribe('sync.head', ({ leaderId, term, version, chain, confirmedAgoMs }) => {
        if (leaderId === host.nodeId) return;
        this.peers.heard(leaderId, { version });
        this.heardOfLeader(term, leaderId);
        if (term >= host.term) {
          this.replication.headHeard({ version, chain }, this.freshness.asOf(confirmedAgoMs));
        }
      }),
      bus.subscribe('leader.elected', ({ term, leaderId, leaderAddress }) => {
        this.peers.heard(leaderId, { address: leaderAddress });
        if (leaderId === host.nodeId || this.leadership.heard(term, leaderId)) this.readHead();
      }),
      bus.subscribe('node.heartbeat', ({ nodeId, kind, address, term, version, condition, clusterId }) => {
        if (kind !== 'config-node' || nodeId === host.nodeId) return;
        const own = host.replica.clusterId;
        const isOurs = own !== null && clusterId === own;
        const counts = isOurs && condition !== 'wrong-database';
        this.peers.heard(nodeId, counts ? { address, version } : { address });
        if (counts && term !== undefined && this.leadership.heardTerm(term)) this.readHead();
      }),
      bus.handle('sync.pull', ({ after, limit }) => this.answerPull(after, limit), { queue: 'nodes' }),
      bus.handle('election.poll', (request) => this.poll.answer(request), { token: host.nodeId }),
    );
  }

  /** Listens to what the leader commits. The leader itself has no need to. */
  follow(): void {
    this.stopChanges ??= this.bus.subscribe('sync.changes', ({ leaderId, head, changes, confirmedAgoMs }) => {
      if (leaderId === this.host.nodeId) return;
      this.peers.heard(leaderId, { version: head.version });
      this.heardOfLeader(head.term, leaderId);
      this.replication.broadcast(changes.map(changeFromWire), head, this.freshness.asOf(confirmedAgoMs));
    });
  }

  unfollow(): void {
    this.stopChanges?.();
    this.stopChanges = undefined;
  }

  stop(): void {
    this.freshness.stop();
    this.unfollow();
    for (const stop of this.stops.splice(0)) stop();
  }

  private heardOfLeader(term: number, leaderId: string): void {
    if (this.leadership.heard(term, leaderId)) this.readHead();
  }

  private answerPull(after: number, limit: number): PullReply {
    const { replica, term } = this.host;
    const changes = replica.changesAfter(after, limit, PULL_BYTES);
    const fits = (bytes: number) => bytes <= PULL_BYTES;
    const wires = changes === 'compacted' ? [] : changes.map(changeToWire);
    const first = wires[0];
    // One change that is too large for the bus: whoever asks goes on to the log.
    const given = first !== undefined && !fits(JSON.stringify(first).length) ? [] : wires;
    return { changes: given, head: { term, version: replica.version, chain: replica.chain } };
  }
}
