import { Injectable } from '@nestjs/common';
import { type CheckTransition, type HealthReport, namespaceToken, Problem } from '#libs/contracts';
import { crashOnDefect, messageOf, rendezvousOwner, withTimeout } from '#libs/kernel';
import { Bus, BusError, type BusLogger } from '#libs/messaging';
import { HealthService } from './health.service.js';
import { HealthStore } from './health.store.js';
import { NodeProbes } from './node-probes.js';

const TRANSITIONS_SHOWN = 20;
/** Transitions of before this instance probed the node are worth no longer wait. */
const HISTORY_WITHIN_MS = 100;

/** Answers what the checks of a node have found: from memory, else by asking the instance that probes it, else from rows. */
@Injectable()
export class HealthReports {
  private unhandle: () => void = () => undefined;

  constructor(
    private readonly bus: Bus,
    private readonly store: HealthStore,
    private readonly probes: NodeProbes,
    private readonly health: HealthService,
    private readonly settings: { instanceId: string; forwardMs: number },
    private readonly logger: BusLogger,
  ) {}

  /** Other instances ask this very one, by its name in the subject. */
  start(): void {
    const token = namespaceToken(this.settings.instanceId);
    this.unhandle = this.bus.handle('health.report', ({ nodeId }) => this.own(nodeId), { token });
  }

  stop(): void {
    this.unhandle();
  }

  async of(nodeId: string): Promise<HealthReport> {
    if (this.probes.check(nodeId)) return this.own(nodeId);
    return (await this.fromOwner(nodeId)) ?? (await this.fromRows(nodeId));
  }

  private async own(nodeId: string): Promise<HealthReport> {
    const check = this.probes.check(nodeId);
    if (!check) throw new Problem('node-not-found', `this instance does not probe ${nodeId}`);
    const { incarnation, state, reason, counted, recent, transitions } = check.report();
    const remembered = transitions.map(({ nodeId: _nodeId, ...transition }) => transition);
    return {
      nodeId,
      incarnation,
      state,
      reason,
      consecutive: counted.consecutive,
      observer: this.settings.instanceId,
      recent,
      transitions: merged(remembered, await this.history(nodeId)),
    };
  }

  private async fromOwner(nodeId: string): Promise<HealthReport | undefined> {
    const owner = rendezvousOwner(nodeId, this.health.alive);
    if (owner === undefined || owner === this.settings.instanceId) return undefined;
    try {
      const token = namespaceToken(owner);
      return await this.bus.request(
        'health.report',
        { nodeId },
        { timeoutMs: this.settings.forwardMs, token },
      );
    } catch (error) {
      if (!(error instanceof BusError || error instanceof Problem)) throw error;
      this.logger.debug({ nodeId, owner, reason: error.message }, 'its prober did not answer');
      return undefined;
    }
  }

  private async fromRows(nodeId: string): Promise<HealthReport> {
    const row = await this.store.node(nodeId).catch((error: unknown) => {
      crashOnDefect(error);
      throw new Problem(
        'storage-unavailable',
        'results of this node are in the database',
        {},
        { cause: error },
      );
    });
    if (!row) throw new Problem('node-not-found', `no node ${nodeId} is probed`);
    const { seq: _seq, ...rest } = row;
    return { ...rest, transitions: await this.history(nodeId) };
  }

  /** Of the rows, as far as they can be had quickly. */
  private async history(nodeId: string): Promise<CheckTransition[]> {
    try {
      const rows = this.store.transitions(nodeId, TRANSITIONS_SHOWN);
      return await withTimeout(rows, HISTORY_WITHIN_MS, 'reading transitions');
    } catch (error) {
      crashOnDefect(error);
      const reason = messageOf(error);
      this.logger.debug({ nodeId, reason }, 'transitions are shown from memory alone');
      return [];
    }
  }
}

/** Rows may lag behind memory, and memory begins later than rows. */
function merged(remembered: CheckTransition[], rows: CheckTransition[]): CheckTransition[] {
  const known = new Set(remembered.map(({ seq }) => seq));
  return [...remembered, ...rows.filter(({ seq }) => !known.has(seq))]
    .sort((a, b) => b.seq - a.seq)
    .slice(0, TRANSITIONS_SHOWN);
}
