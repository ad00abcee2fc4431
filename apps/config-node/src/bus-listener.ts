import { changeFromWire, changeToWire, type NodeHeartbeat, type PullReply } from '#libs/contracts';
import type { Bus } from '#libs/messaging';
import type { CandidatePollHandler } from './internal-api/candidate-poll-handler.js';
import type { HeadFreshnessWatch } from './leadership/head-freshness-watch.js';
import type { Leadership } from './leadership/leadership.js';
import type { SameIdGuard } from './membership/same-id-guard.js';
import type { PeerTable } from './peers/peer-table.js';
import type { ReplicaHost } from './replica/replica-host.js';
import type { Replication } from './replication/replication.js';

/** Bytes of values in a reply to `sync.pull`: what JSON makes of them must fit into a message. */
const PULL_BYTES = 256 * 1024;
/**
 * They say where the other nodes are and how far their histories go. To know that some seconds later does no harm; to verify and
 * parse those of a thousand nodes takes 6 % of a core in each of them.
 */
const HEARTBEATS_PER_S = 200;

export interface BusListenerParts {
  bus: Bus;
  host: ReplicaHost;
  peers: PeerTable;
  leadership: Leadership;
  replication: Replication;
  poll: CandidatePollHandler;
  sameId: SameIdGuard;
  freshness: HeadFreshnessWatch;
  /** Has head read soon. */
  readHead: () => void;
}

/** Brings what is said on the bus to whom it concerns. */
export class BusListener {
  private readonly stops: (() => void)[] = [];
  private stopChanges: (() => void) | undefined;

  constructor(private readonly parts: BusListenerParts) {}

  start(): void {
    const { bus, host, peers, leadership, replication, poll, freshness, readHead } = this.parts;
    freshness.start();
    this.follow();
    this.stops.push(
      bus.subscribe('sync.head', ({ leaderId, term, version, chain, confirmedAgoMs }) => {
        if (leaderId === host.nodeId) return;
        peers.update(leaderId, { version });
        this.heardOfLeader(term, leaderId);
        if (term >= host.term) {
          replication.headHeard({ version, chain }, freshness.asOf(confirmedAgoMs));
        }
      }),
      bus.subscribe('leader.elected', ({ term, leaderId, leaderAddress }) => {
        peers.update(leaderId, { address: leaderAddress });
        if (leaderId === host.nodeId || leadership.noteLeader(term, leaderId)) readHead();
      }),
      bus.subscribe('node.heartbeat', (beat) => this.heartbeat(beat), {
        sample: { perSecond: HEARTBEATS_PER_S, always: `"nodeId":"${host.nodeId}"` },
      }),
      bus.handle('sync.pull', ({ after, limit }) => this.answerPull(after, limit), { queue: 'nodes' }),
      bus.handle('election.poll', (request) => poll.answer(request), { token: host.nodeId }),
    );
  }

  private heartbeat(beat: NodeHeartbeat): void {
    const { host, peers, leadership, sameId, readHead } = this.parts;
    const { nodeId, kind, address, term, version, condition, clusterId } = beat;
    if (nodeId === host.nodeId) sameId.onHeartbeat(beat);
    if (kind !== 'config-node' || nodeId === host.nodeId) return;
    const own = host.replica.clusterId;
    const isOurs = own !== null && clusterId === own;
    const counts = isOurs && condition !== 'wrong-database';
    peers.update(nodeId, counts ? { address, version } : { address });
    if (counts && term !== undefined && leadership.heardTerm(term)) readHead();
  }

  /** Listens to what the leader commits. The leader itself has no need to. */
  follow(): void {
    this.stopChanges ??= this.parts.bus.subscribe(
      'sync.changes',
      ({ leaderId, head, changes, confirmedAgoMs }) => {
        if (leaderId === this.parts.host.nodeId) return;
        this.parts.peers.update(leaderId, { version: head.version });
        this.heardOfLeader(head.term, leaderId);
        this.parts.replication.broadcast(
          changes.map(changeFromWire),
          head,
          this.parts.freshness.asOf(confirmedAgoMs),
        );
      },
    );
  }

  unfollow(): void {
    this.stopChanges?.();
    this.stopChanges = undefined;
  }

  stop(): void {
    this.parts.freshness.stop();
    this.unfollow();
    for (const stop of this.stops.splice(0)) stop();
  }

  private heardOfLeader(term: number, leaderId: string): void {
    if (this.parts.leadership.noteLeader(term, leaderId)) this.parts.readHead();
  }

  private answerPull(after: number, limit: number): PullReply {
    const { replica, term } = this.parts.host;
    const changes = replica.changesAfter(after, limit, PULL_BYTES);
    const fits = (bytes: number) => bytes <= PULL_BYTES;
    const wires = changes === 'compacted' ? [] : changes.map(changeToWire);
    const first = wires[0];
    // One change that is too large for the bus: whoever asks goes on to the log.
    const given = first !== undefined && !fits(JSON.stringify(first).length) ? [] : wires;
    return { changes: given, head: { term, version: replica.version, chain: replica.chain } };
  }
}
