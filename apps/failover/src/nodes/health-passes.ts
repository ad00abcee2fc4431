import { z } from 'zod';
import { crashOnDefect } from '#libs/kernel';
import type { KnownNode } from '../domain/known-voters.js';
import type { HttpCalls } from './http-calls.js';

const TIMEOUT_MS = 1_000;

const Health = z.object({
  status: z.enum(['ready', 'not-ready']),
  checks: z.record(z.string(), z.object({ ok: z.boolean() })).default({}),
});

export interface SeenHealth {
  passes: number;
  /** It has lately applied exactly what the head then was: (version, chain). */
  level: boolean;
}

const UNSEEN: SeenHealth = { passes: 0, level: false };

/** Asks nodes on their way back for /health, and counts good answers in a row of one incarnation. */
export class HealthPasses {
  private readonly seen = new Map<string, SeenHealth & { incarnation: number }>();

  constructor(private readonly calls: HttpCalls) {}

  of(nodeId: string, incarnation: number): SeenHealth {
    const seen = this.seen.get(nodeId);
    return seen?.incarnation === incarnation ? seen : UNSEEN;
  }

  /** Asks those and forgets the others: what was seen in an earlier recovery proves nothing. */
  async ask(nodes: readonly KnownNode[]): Promise<void> {
    const asked = new Set(nodes.map(({ nodeId }) => nodeId));
    for (const nodeId of this.seen.keys()) if (!asked.has(nodeId)) this.seen.delete(nodeId);
    await Promise.all(nodes.map((node) => this.askOne(node)));
  }

  private async askOne({ nodeId, incarnation, address }: KnownNode): Promise<void> {
    const health = address === undefined ? undefined : await this.read(address);
    const passes = health?.status === 'ready' ? this.of(nodeId, incarnation).passes + 1 : 0;
    const level = health?.checks.replica?.ok ?? false;
    this.seen.set(nodeId, { incarnation, passes, level });
  }

  private async read(address: string): Promise<z.infer<typeof Health> | undefined> {
    try {
      return await this.calls.get(`${address}/health`, Health, TIMEOUT_MS);
    } catch (error) {
      crashOnDefect(error);
      return undefined; // not ready, no answer, or none that is understood: not a pass in any case
    }
  }
}
