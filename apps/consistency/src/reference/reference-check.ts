import { Injectable } from '@nestjs/common';
import type { TruthCompared } from '#libs/contracts';
import type { Clock } from '#libs/kernel';
import { bucketOf, StateDigest } from '#libs/replica';
import { type Addresses, askAll, NO_ADDRESS } from '../ask-all.js';
import type { ConsistencySettings } from '../consistency.config.js';
import { ConsistencyMetrics } from '../consistency.metrics.js';
import { ConsistencyStore } from '../consistency.store.js';
import type { DigestClient } from '../digest-client.js';
import type { KeyName, Pin } from '../domain/comparison/pin.js';
import { NO_SUSPICION, type SuspectBuckets } from '../domain/comparison/suspicion.js';
import {
  compareWithReference,
  type HeldByNode,
  type ReferenceComparison,
} from '../domain/reference/reference-comparison.js';
import { ReferencePace } from '../domain/reference/reference-pace.js';
import { type EntriesAt, EntriesStore } from './entries.store.js';

/** More keys of suspected buckets are not collected: the whole state is to be looked at then. */
const MAX_KEYS = 20_000;

/** Compares nodes with the state in the database: with its digest, at the version of one snapshot of it. */
@Injectable()
export class ReferenceCheck {
  readonly pace: ReferencePace;
  private last: { version: number; endedMs: number } | undefined;
  private running: Promise<SuspectBuckets> | undefined;

  constructor(
    private readonly entries: EntriesStore,
    private readonly store: ConsistencyStore,
    private readonly calls: DigestClient,
    private readonly metrics: ConsistencyMetrics,
    private readonly settings: ConsistencySettings,
    private readonly clock: Clock,
  ) {
    this.pace = new ReferencePace(settings.truthEveryMs);
  }

  /** Where the last comparison was, and how long ago; undefined: none by this instance yet. */
  get latest(): { version: number; agoMs: number } | undefined {
    const { last } = this;
    return last && { version: last.version, agoMs: this.clock.monotonicMs() - last.endedMs };
  }

  /** Joins when one is under way. Resolves to what is to be looked into. */
  check(nodes: Addresses): Promise<SuspectBuckets> {
    this.running ??= this.compare(nodes).finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private async compare(nodes: Addresses): Promise<SuspectBuckets> {
    const begunMs = this.clock.monotonicMs();
    const told = await this.entries.atHead(async (entries) => {
      // While they still remember that version.
      const held = await this.ask(entries.pin, nodes);
      const { digest, count } = await digestOf(entries);
      const comparison = compareWithReference(entries.pin, this.settings.round.format, digest, held);
      const suspicion = await suspicionOf(entries, comparison);
      return { pin: entries.pin, count, comparison, suspicion, restedMs: entries.restedMs };
    });
    const { pin, count, comparison, suspicion, restedMs } = told;
    const endedMs = this.clock.monotonicMs();
    this.pace.took({ endedMs, busyMs: endedMs - begunMs - restedMs });
    this.last = { version: pin.version, endedMs };
    await this.note(pin, count, comparison, endedMs - begunMs);
    return suspicion;
  }

  private async ask(pin: Pin, nodes: Addresses): Promise<Map<string, HeldByNode>> {
    const { waitMs, answerMs } = this.settings;
    const ids = [...nodes.keys()];
    const roots = await askAll(ids, nodes, NO_ADDRESS, (address) =>
      this.calls.root(address, pin, waitMs, answerMs),
    );
    const known = ids.filter((nodeId) => roots.get(nodeId)?.known);
    const cuts = await askAll(known, nodes, undefined, (address) =>
      this.calls.buckets(address, pin, answerMs),
    );
    return new Map([...roots].map(([nodeId, root]) => [nodeId, { root, cuts: cuts.get(nodeId) }]));
  }

  private async note(
    pin: Pin,
    entries: number,
    comparison: ReferenceComparison,
    tookMs: number,
  ): Promise<void> {
    const { match, suspects, unknown } = comparison;
    const compared: TruthCompared = {
      ...{ version: pin.version, chain: pin.chain, entries, tookMs, match },
      ...{ suspect: [...suspects.keys()].sort(), unknown: [...unknown.keys()].sort() },
      ...{ observer: this.settings.instanceId, at: new Date(this.clock.wallMs()).toISOString() },
    };
    this.metrics.truthSeconds.observe(tookMs / 1_000);
    this.metrics.truths.inc({ outcome: 'match' }, match.length);
    this.metrics.truths.inc({ outcome: 'suspect' }, suspects.size);
    this.metrics.truths.inc({ outcome: 'unknown' }, unknown.size);
    await this.store.saveTruth(compared);
  }
}

/** Of the state, and how many entries it has. */
export async function digestOf(entries: EntriesAt): Promise<{ digest: StateDigest; count: number }> {
  const digest = new StateDigest();
  let count = 0;
  for await (const page of entries.pages()) {
    for (const entry of page) digest.add(bucketOf(entry.namespace, entry.key), entry);
    count += page.length;
  }
  return { digest, count };
}

/** With the keys that the same snapshot has in the buckets that differ. */
async function suspicionOf(entries: EntriesAt, { suspects }: ReferenceComparison): Promise<SuspectBuckets> {
  if (suspects.size === 0) return NO_SUSPICION;
  const buckets = new Set([...suspects.values()].flat());
  const keys: KeyName[] = [];
  for await (const page of entries.pages()) {
    for (const { namespace, key } of page)
      if (keys.length < MAX_KEYS && buckets.has(bucketOf(namespace, key))) keys.push({ namespace, key });
  }
  return { buckets: suspects, keys };
}
