import { Injectable } from '@nestjs/common';
import {
  type HoldReply,
  type NodeHold,
  NodeId,
  Problem,
  type RecoveryStep,
  type ReplyPayload,
  type RequestPayload,
  type RestartReply,
} from '#libs/contracts';
import { Bus, BusError } from '#libs/messaging';
import { unavailable } from './unavailable.js';

/** A drain hands leadership over first. */
const DRAIN_TIMEOUT_MS = 8_000;
/** The driver is waited for. */
const RESTART_TIMEOUT_MS = 20_000;
const RELEASE_TIMEOUT_MS = 3_000;
const RECOVERIES_TIMEOUT_MS = 2_000;
const SHOWN_TIMEOUT_MS = 500;
const STEPS_SHOWN = 20;

type OperatorSubject = 'failover.drain' | 'failover.restart' | 'failover.release' | 'failover.recoveries';

/** What operators do to single nodes, and what recovery did: asked of failover, which decides and keeps it. */
@Injectable()
export class OperatorCommands {
  constructor(private readonly bus: Bus) {}

  drain(id: string, drained: boolean, why: string | undefined): Promise<HoldReply> {
    return this.ask('failover.drain', { ...named(id, why), drained }, DRAIN_TIMEOUT_MS, 'outcome-unknown');
  }

  restart(id: string, why: string | undefined): Promise<RestartReply> {
    return this.ask('failover.restart', named(id, why), RESTART_TIMEOUT_MS, 'outcome-unknown');
  }

  release(id: string, why: string | undefined): Promise<HoldReply> {
    return this.ask('failover.release', named(id, why), RELEASE_TIMEOUT_MS, 'outcome-unknown');
  }

  recoveries(limit: number): Promise<ReplyPayload<'failover.recoveries'>> {
    return this.ask('failover.recoveries', { limit }, RECOVERIES_TIMEOUT_MS, 'no-available-node');
  }

  /** For the page of a node: shown without when failover or its database is away. */
  async shown(id: string): Promise<{ hold: NodeHold | null; recoveries: RecoveryStep[] }> {
    if (!NodeId.safeParse(id).success) return { hold: null, recoveries: [] };
    const options = { timeoutMs: SHOWN_TIMEOUT_MS };
    const [holds, steps] = await Promise.all([
      known(this.bus.request('failover.holds', {}, options)),
      known(this.bus.request('failover.recoveries', { nodeId: id, limit: STEPS_SHOWN }, options)),
    ]);
    const hold = holds?.holds.find(({ nodeId }) => nodeId === id) ?? null;
    return { hold, recoveries: steps?.recoveries ?? [] };
  }

  private async ask<S extends OperatorSubject>(
    subject: S,
    request: RequestPayload<S>,
    timeoutMs: number,
    late: 'outcome-unknown' | 'no-available-node',
  ): Promise<ReplyPayload<S>> {
    try {
      return await this.bus.request(subject, request, { timeoutMs });
    } catch (error) {
      throw unavailable(error, 'the failover service', late);
    }
  }
}

function named(id: string, why: string | undefined): { nodeId: string; why?: string } {
  if (!NodeId.safeParse(id).success) throw new Problem('node-not-found', `there is no node '${id}'`);
  return why === undefined ? { nodeId: id } : { nodeId: id, why };
}

async function known<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof BusError || error instanceof Problem) return undefined;
    throw error;
  }
}
