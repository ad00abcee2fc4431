import { Injectable } from '@nestjs/common';
import type { NodeHeartbeat, NodeInfo } from '#libs/contracts';
import type { Clock } from '#libs/kernel';
import type { DetectorInput } from '../domain/detection/detector.types.js';
import { KnownVoters } from '../domain/known-voters.js';
import type { FailoverSettings } from '../failover.config.js';
import { type DialOutcome, dial } from './dial.js';
import type { HttpCalls } from './http-calls.js';
import { LivenessConnection, type LivenessEvent } from './liveness-connection.js';
import { Pinger, type PingResult } from './pinger.js';

interface Probe {
  pinger: Pinger;
  tether: LivenessConnection | undefined;
}

/** Gathers the evidence on every config node there is, wherever it was heard of: settings, registry, its heartbeats. */
@Injectable()
export class NodeWatch {
  readonly directory = new KnownVoters();
  private readonly probes = new Map<string, Probe>();
  private readonly stopping = new Set<Promise<void>>();
  /** The incarnation that said that it stops. */
  private readonly announcedStops = new Map<string, number>();
  private sink: (input: DetectorInput) => void = () => undefined;
  private stopped = false;

  constructor(
    private readonly calls: HttpCalls,
    private readonly clock: Clock,
    private readonly settings: FailoverSettings,
  ) {}

  /** Where the evidence goes. */
  begin(sink: (input: DetectorInput) => void, seeds: readonly { id: string; address: string }[]): void {
    this.sink = sink;
    for (const { id, address } of seeds) this.learn({ nodeId: id, incarnation: 0, address });
  }

  heartbeat(beat: NodeHeartbeat): void {
    if (beat.kind !== 'config-node' && !this.directory.get(beat.nodeId)) return;
    this.learn(beat);
    if (beat.condition === 'stopping') this.announcedStops.set(beat.nodeId, beat.incarnation);
    this.submit({ type: 'heartbeat', ...this.spoke(beat) });
  }

  registered(node: NodeInfo): void {
    if (node.kind !== 'config-node') return;
    const { id: nodeId, incarnation, address, role } = node;
    this.learn({ nodeId, incarnation, address, role });
    this.submit({ type: 'known', nodeId, incarnation, nowMs: this.clock.monotonicMs() });
  }

  /** A node that only the head names: it is watched without an address until somebody tells it. */
  named(nodeId: string, incarnation: number): void {
    if (!this.directory.get(nodeId)) this.learn({ nodeId, incarnation });
  }

  deregistered(nodeId: string, incarnation: number): void {
    if (!this.directory.forget(nodeId, incarnation)) return;
    const probe = this.probes.get(nodeId);
    this.probes.delete(nodeId);
    this.announcedStops.delete(nodeId);
    if (probe) this.end(probe);
    this.submit({ type: 'forget', nodeId });
  }

  /** What then becomes of its process is its end, not its failure. */
  hasAnnouncedStop(nodeId: string, incarnation: number): boolean {
    return this.announcedStops.get(nodeId) === incarnation;
  }

  /** Tries a new connection now, for a witness that asks. */
  async dialNow(nodeId: string, timeoutMs: number): Promise<DialOutcome> {
    const address = this.directory.get(nodeId)?.address;
    return address === undefined ? 'unclear' : dial(address, timeoutMs);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    for (const probe of this.probes.values()) this.end(probe);
    this.probes.clear();
    await Promise.all(this.stopping);
  }

  private learn(heard: Parameters<KnownVoters['update']>[0]): void {
    const change = this.directory.update(heard);
    if (change === 'same' || this.stopped) return;
    const { nodeId } = heard;
    if (change === 'new') {
      const incarnation = heard.incarnation;
      this.submit({ type: 'known', nodeId, incarnation, nowMs: this.clock.monotonicMs() });
      this.probes.set(nodeId, { pinger: this.newPinger(nodeId), tether: this.newTether(nodeId) });
      return;
    }
    const probe = this.probes.get(nodeId);
    if (!probe) return;
    if (probe.tether) this.dispose(probe.tether);
    this.submit({ type: 'moved', nodeId, nowMs: this.clock.monotonicMs() });
    probe.tether = this.newTether(nodeId);
    probe.pinger.send();
  }

  private newPinger(nodeId: string): Pinger {
    const address = () => this.directory.get(nodeId)?.address;
    return new Pinger(nodeId, address, this.calls, this.clock, this.settings.timings, (result) =>
      this.pinged(nodeId, result),
    );
  }

  private newTether(nodeId: string): LivenessConnection | undefined {
    const address = this.directory.get(nodeId)?.address;
    if (address === undefined) return undefined;
    const tether: LivenessConnection = new LivenessConnection(address, (event) => {
      // A tether to an address that the node has left says nothing of the node.
      if (this.probes.get(nodeId)?.tether === tether) this.tethered(nodeId, event);
    });
    return tether;
  }

  private tethered(nodeId: string, event: LivenessEvent): void {
    this.submit({ type: event, nodeId, nowMs: this.clock.monotonicMs() });
    // Whoever answers after a close may be a new incarnation: ask who it is.
    if (event === 'dial-accepted' || event === 'connection-opened') this.probes.get(nodeId)?.pinger.send();
  }

  private pinged(nodeId: string, result: PingResult): void {
    const nowMs = this.clock.monotonicMs();
    if (!result.ok) {
      this.submit({ type: 'ping-missed', nodeId, sentMs: result.sentMs, nowMs });
      return;
    }
    const { incarnation, role } = result.ping;
    this.learn({ nodeId, incarnation, role });
    if (result.ping.stopping) this.announcedStops.set(nodeId, incarnation);
    this.submit({ type: 'ping-answered', ...this.spoke(result.ping) });
  }

  private spoke(said: {
    nodeId: string;
    incarnation: number;
    fenceConfirmedAgoMs?: number | null | undefined;
  }) {
    const { nodeId, incarnation, fenceConfirmedAgoMs } = said;
    const nowMs = this.clock.monotonicMs();
    return { nodeId, incarnation, fenceConfirmedAgoMs: fenceConfirmedAgoMs ?? undefined, nowMs };
  }

  private submit(input: DetectorInput): void {
    if (!this.stopped) this.sink(input);
  }

  private end(probe: Probe): void {
    this.dispose(probe.pinger);
    if (probe.tether) this.dispose(probe.tether);
  }

  private dispose(part: { stop(): Promise<void> }): void {
    const stopping = part.stop().finally(() => this.stopping.delete(stopping));
    this.stopping.add(stopping);
  }
}
