import { Injectable } from '@nestjs/common';
import type { CheckedState } from '#libs/contracts';
import type { Clock, Rng } from '#libs/kernel';
import type { CheckTarget } from './domain/check-targets.js';
import { type CheckMove, NodeCheck } from './domain/node-check.js';
import { nextProbe } from './domain/probe-pace.js';
import type { HealthSettings } from './health.config.js';
import { HealthMetrics } from './health.metrics.js';
import { HealthProber } from './health-prober.js';

interface Probing {
  check: NodeCheck;
  prober: HealthProber | undefined;
}

/** The probers of the nodes that are this instance's share, and what they have found. */
@Injectable()
export class NodeProbes {
  private readonly probing = new Map<string, Probing>();
  private readonly stopping = new Set<Promise<void>>();
  private readonly touched = new Set<string>();
  private onMove: (move: CheckMove) => void = () => undefined;

  constructor(
    private readonly metrics: HealthMetrics,
    private readonly settings: HealthSettings,
    private readonly clock: Clock,
    private readonly rng: Rng,
  ) {}

  whenMoved(listener: (move: CheckMove) => void): void {
    this.onMove = listener;
  }

  /** Exactly these are probed from now on; those of the share that are new first within `withinMs`. */
  assign(share: readonly CheckTarget[], seqOf: (nodeId: string) => number, withinMs: number): void {
    const ids = new Set(share.map(({ nodeId }) => nodeId));
    for (const nodeId of this.probing.keys()) if (!ids.has(nodeId)) this.drop(nodeId);
    for (const target of share) {
      const { nodeId, incarnation, address } = target;
      const probing = this.probing.get(nodeId) ?? this.begin(nodeId);
      probing.check.isNow(incarnation);
      probing.check.noteSeq(seqOf(nodeId));
      if (probing.prober?.address !== address) this.aim(nodeId, probing, address, withinMs);
    }
  }

  check(nodeId: string): NodeCheck | undefined {
    return this.probing.get(nodeId)?.check;
  }

  checks(): NodeCheck[] {
    return [...this.probing.values()].map(({ check }) => check);
  }

  states(): CheckedState[] {
    return this.checks().map(({ state }) => state);
  }

  /** The nodes with results since the last call. */
  takeTouched(): NodeCheck[] {
    const checks = [...this.touched].map((nodeId) => this.check(nodeId));
    this.touched.clear();
    return checks.filter((check) => check !== undefined);
  }

  async stop(): Promise<void> {
    for (const nodeId of [...this.probing.keys()]) this.drop(nodeId);
    await Promise.all(this.stopping);
  }

  private begin(nodeId: string): Probing {
    const probing = { check: new NodeCheck(nodeId, this.settings.check), prober: undefined };
    this.probing.set(nodeId, probing);
    return probing;
  }

  private aim(nodeId: string, probing: Probing, address: string | undefined, withinMs: number): void {
    if (probing.prober) this.dispose(probing.prober);
    probing.prober = undefined;
    if (address === undefined) return;
    const { pace, ownPauseMs, instanceId: observer } = this.settings;
    const { fastEveryMs, fastTimeoutMs } = pace;
    const { check } = probing;
    probing.prober = new HealthProber(nodeId, address, {
      settings: { observer, fastEveryMs, fastTimeoutMs, ownPauseMs },
      clock: this.clock,
      rng: this.rng,
      found: (finding, tookMs) => {
        this.metrics.probes.inc({ result: finding?.result ?? 'discarded' });
        this.metrics.probeSeconds.observe(tookMs / 1_000);
        if (finding) {
          const wallMs = this.clock.wallMs();
          const at = new Date(wallMs).toISOString();
          const move = check.probed(finding, { ms: tookMs, at, wallMs });
          this.touched.add(nodeId);
          if (move) this.onMove(move);
        }
        return nextProbe(check.phase, pace, this.rng, finding?.retryAfterMs);
      },
    });
    probing.prober.start(withinMs);
  }

  private drop(nodeId: string): void {
    const probing = this.probing.get(nodeId);
    this.probing.delete(nodeId);
    this.touched.delete(nodeId);
    if (probing?.prober) this.dispose(probing.prober);
  }

  private dispose(prober: HealthProber): void {
    const stopping = prober.stop().finally(() => this.stopping.delete(stopping));
    this.stopping.add(stopping);
  }
}
