import { z } from 'zod';
import { NodeAddress, type NodeHeartbeat, type NodePing, Problem } from '#libs/contracts';
import { type Clock, crash, crashOnDefect, FailureLog, type Repeating } from '#libs/kernel';
import { type Bus, BusError } from '#libs/messaging';
import type { Logger } from '#libs/observability';
import type { Alerts } from '../announce/alerts.js';
import { type HeardProcess, SameId } from '../domain/same-id.js';
import type { PeerClient } from '../peers/peer-client.js';
import type { ClusterMembership } from './cluster-membership.js';

const STEP_EVERY_MS = 500;
const REGISTRY_TIMEOUT_MS = 300;
/** Both sides log it, and one alerts, no more often than this. */
const ALERT_EVERY_MS = 30_000;

/** How another process with this node's id names itself. */
export const SameIdClaim = z.object({ address: NodeAddress, incarnation: z.number().int().positive() });

export interface SameIdParts {
  nodeId: string;
  seeds: readonly { id: string; address: string }[];
  membership: ClusterMembership;
  client: PeerClient;
  bus: Bus;
  alerts: Alerts;
  clock: Clock;
  logger: Logger;
}

/** Keeps two processes from being one node: the one that came later ends while the other answers. */
export class SameIdGuard {
  private readonly watch: SameId;
  private loop: Repeating | undefined;
  private alertedAtMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly parts: SameIdParts) {
    this.watch = new SameId(parts.clock.monotonicMs());
  }

  /**
   * Before this process says anything under its id: rejects when another one answers under it, at the address that this one is to
   * give as its own, or where the seeds or the registry say that the node is. One that was there and does not answer now is taken
   * to be dead.
   */
  async demandOwnId(address: string): Promise<void> {
    const { seeds, nodeId } = this.parts;
    const seeded = seeds.flatMap((seed) => (seed.id === nodeId ? [seed.address] : []));
    const registered = await this.registeredAddress();
    // Its own address too: where HOLDFAST_ADDRESS was copied, the other process answers there.
    const places = new Set([address, ...seeded, ...(registered === null ? [] : [registered])]);
    const found = await Promise.all([...places].map((other) => this.answers(other)));
    for (const other of found) if (other) throw await this.refusal(other, address);
  }

  start(): void {
    const { logger, clock } = this.parts;
    const failures = new FailureLog(logger, clock);
    const everyMs = STEP_EVERY_MS;
    this.loop = failures.repeat('looking for another process with this id', () => this.step(), { everyMs });
  }

  async stop(): Promise<void> {
    await this.loop?.stop();
  }

  /** A heartbeat under this node's id, this process's own or another's. */
  onHeartbeat({ address, incarnation, condition }: NodeHeartbeat): void {
    const { membership, clock } = this.parts;
    const isOwn = address === membership.address && incarnation === membership.incarnation;
    if (address === undefined || isOwn) return;
    this.watch.observe({ address, incarnation, stopping: condition === 'stopping' }, clock.monotonicMs());
  }

  /** Another process found this one when it started, and ends: both sides say so. */
  claimed(other: z.infer<typeof SameIdClaim>): void {
    this.alert(other, 'it ends, since this one answers');
  }

  private async step(): Promise<void> {
    const { membership, clock, logger, nodeId } = this.parts;
    const { do: step, other } = this.watch.decide(membership.incarnation, clock.monotonicMs());
    if (!other || step === 'none') return;
    if (step === 'return') {
      logger.warn(
        { other },
        'the other process with the id of this node is gone: this one takes its place again',
      );
      if (!(await membership.exceed(other.incarnation)))
        crash(new Error(`another process was ${nodeId} meanwhile`));
      return;
    }
    if (step === 'ask') {
      const found = await this.answers(other.address);
      if (found) crash(await this.refusal(found, membership.address));
      return;
    }
    this.alert(other, 'this one ends, since the cluster knows the other');
    crash(new Error(`${other.address} has been ${nodeId} for a while: this process was replaced`));
  }

  /** The process at the address, when it is another one with this node's id and is not about to stop. */
  private async answers(address: string): Promise<HeardProcess | undefined> {
    const { client, nodeId, membership } = this.parts;
    try {
      const ping: NodePing = await client.ping(address);
      const isOther = ping.nodeId === nodeId && ping.incarnation !== membership.incarnation && !ping.stopping;
      return isOther ? { address, incarnation: ping.incarnation, stopping: false } : undefined;
    } catch (error) {
      crashOnDefect(error);
      return undefined; // nobody is there, or nobody that answers
    }
  }

  private async refusal(other: HeardProcess, address: string): Promise<Error> {
    const { client, membership, nodeId } = this.parts;
    const { incarnation } = membership;
    await client.claim(other.address, { address, incarnation });
    return new Error(
      `another process is ${nodeId} and answers at ${other.address}: ` +
        'give this one an id of its own (HOLDFAST_NODE_ID), or stop the other first',
    );
  }

  private async registeredAddress(): Promise<string | null> {
    const { bus, nodeId } = this.parts;
    if (!bus.connected) return null;
    try {
      const { node } = await bus.request('registry.get', { nodeId }, { timeoutMs: REGISTRY_TIMEOUT_MS });
      return node.address;
    } catch (error) {
      if (!(error instanceof BusError || error instanceof Problem)) throw error;
      return null;
    }
  }

  private alert(other: { address: string; incarnation: number }, outcome: string): void {
    const { alerts, logger, clock, nodeId } = this.parts;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.alertedAtMs < ALERT_EVERY_MS) return;
    this.alertedAtMs = nowMs;
    logger.error({ other, outcome }, 'another process runs with the id of this node');
    alerts.critical(
      'node.same-id',
      `two processes are ${nodeId}, one of them at ${other.address}: ${outcome}`,
    );
  }
}
