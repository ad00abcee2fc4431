import { Injectable } from '@nestjs/common';
import type { ConsistencyRepaired, Difference, RepairOutcome, RepairRequest } from '#libs/contracts';
import { type Clock, crashOnDefect, messageOf, sleep } from '#libs/kernel';
import type { BusLogger } from '#libs/messaging';
import type { ConsistencySettings } from '../consistency.config.js';
import { ConsistencyStore } from '../consistency.store.js';
import type { DigestClient } from '../digest-client.js';
import { nameOf, type Pin } from '../domain/comparison/pin.js';
import type { NodeOutcome } from '../domain/comparison/round.js';
import { inPieces, planRepair, type RepairPlan } from '../domain/repair-plan.js';
import { ReferenceStore } from '../reference/reference.store.js';

export interface RepairDone {
  plan: RepairPlan['type'];
  repairs: ConsistencyRepaired[];
}

type Reply = (difference: Difference) => RepairOutcome;

/** Sets one node right, always by the truth: key by key, or as a whole when that is not to be done key by key. */
@Injectable()
export class Repairer {
  constructor(
    private readonly store: ConsistencyStore,
    private readonly truth: ReferenceStore,
    private readonly calls: DigestClient,
    private readonly settings: ConsistencySettings,
    private readonly clock: Clock,
    private readonly logger: BusLogger,
  ) {}

  async repair(pin: Pin, found: NodeOutcome, address: string): Promise<RepairDone> {
    const history = await this.store.history(found.nodeId);
    const plan = planRepair(found, history, this.settings.limits);
    switch (plan.type) {
      case 'keys':
        return { plan: plan.type, repairs: await this.keys(pin, found.nodeId, address, plan.differences) };
      case 'resync':
        return { plan: plan.type, repairs: [await this.resync(pin, found.nodeId, address, plan.why)] };
      default:
        return { plan: plan.type, repairs: [] };
    }
  }

  private async keys(
    pin: Pin,
    nodeId: string,
    address: string,
    differences: readonly Difference[],
  ): Promise<ConsistencyRepaired[]> {
    const { repairsPerSecond, repairsPerRound } = this.settings;
    const done: ConsistencyRepaired[] = [];
    for (const piece of inPieces(differences.slice(0, repairsPerRound), repairsPerSecond)) {
      if (done.length > 0) await sleep(1_000);
      const outcomeOf = await this.piece(pin, address, piece);
      for (const difference of piece)
        done.push(this.note(pin, nodeId, difference, outcomeOf(difference), 'check'));
    }
    return done;
  }

  private async piece(pin: Pin, address: string, piece: readonly Difference[]): Promise<Reply> {
    try {
      const request = await this.request(pin, piece);
      const reply = await this.calls.repair(address, request, this.settings.repairMs);
      const outcomes = new Map(reply.keys.map((key) => [nameOf(key), key.outcome]));
      return (difference) =>
        difference.class === 'digest' ? 'repaired' : (outcomes.get(nameOf(difference)) ?? 'failed');
    } catch (error) {
      crashOnDefect(error);
      const reason = messageOf(error);
      this.logger.warn({ address, reason }, 'repairing keys failed: the next round tries again');
      return () => 'failed';
    }
  }

  private async request(pin: Pin, piece: readonly Difference[]): Promise<RepairRequest> {
    const stands = piece.filter(({ expected }) => expected !== null);
    const extra = piece.filter((difference) => difference.class === 'extra');
    const digests = piece.filter((difference) => difference.class === 'digest');
    return {
      ...{ version: pin.version, chain: pin.chain },
      puts: stands.length === 0 ? [] : await this.truth.values(pin, stands),
      deletes: extra.map(({ namespace, key }) => ({ namespace, key })),
      digests: digests.map(({ key }) => Number(key)),
    };
  }

  private async resync(pin: Pin, nodeId: string, address: string, why: string): Promise<ConsistencyRepaired> {
    try {
      const { result } = await this.calls.resync(address, why, this.settings.resyncMs);
      return this.note(pin, nodeId, null, result === 'replaced' ? 'reloaded' : 'failed', why);
    } catch (error) {
      crashOnDefect(error);
      const reason = messageOf(error);
      this.logger.error({ nodeId, reason }, 'asking a node to reload its state failed');
      return this.note(pin, nodeId, null, 'failed', why);
    }
  }

  private note(
    pin: Pin,
    place: string,
    difference: Difference | null,
    outcome: RepairOutcome,
    why: string,
  ): ConsistencyRepaired {
    const { instanceId: observer } = this.settings;
    const at = new Date(this.clock.wallMs()).toISOString();
    return { place, difference, outcome, why, version: pin.version, observer, at };
  }
}
