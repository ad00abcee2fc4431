import { Injectable } from '@nestjs/common';
import { unreachable } from '#libs/kernel';
import { type Addresses, askAll, NO_ADDRESS } from '../ask-all.js';
import type { ConsistencySettings } from '../consistency.config.js';
import type { DigestClient } from '../digest-client.js';
import type { Pin } from '../domain/comparison/pin.js';
import { type NodeOutcome, Round, type Step } from '../domain/comparison/round.js';
import { NO_SUSPICION, type SuspectBuckets } from '../domain/comparison/suspicion.js';
import { ReferenceStore } from '../reference/reference.store.js';

/** Carries out one round: asks what it wants to know, and hands it the answers. */
@Injectable()
export class RoundRunner {
  constructor(
    private readonly truth: ReferenceStore,
    private readonly calls: DigestClient,
    private readonly settings: ConsistencySettings,
  ) {}

  async compare(
    pin: Pin,
    nodes: Addresses,
    suspicion: SuspectBuckets = NO_SUSPICION,
  ): Promise<NodeOutcome[]> {
    const round = new Round(pin, [...nodes.keys()], this.settings.round, suspicion);
    for (let step = round.step; step.ask !== 'nothing'; step = round.step) {
      await this.ask(round, step, nodes);
    }
    return round.outcomes();
  }

  private async ask(round: Round, step: Step, nodes: Addresses): Promise<void> {
    const { pin } = round;
    const { waitMs, answerMs, keysMs } = this.settings;
    switch (step.ask) {
      case 'roots':
        round.takeRoots(
          await askAll(step.of, nodes, NO_ADDRESS, (address) =>
            this.calls.root(address, pin, waitMs, answerMs),
          ),
        );
        return;
      case 'buckets':
        round.takeBuckets(
          await askAll(step.of, nodes, undefined, (address) => this.calls.buckets(address, pin, answerMs)),
        );
        return;
      case 'parts': {
        const { bucket } = step;
        round.takeParts(
          await askAll(step.of, nodes, undefined, (address) =>
            this.calls.parts(address, pin, bucket, keysMs),
          ),
        );
        return;
      }
      case 'keys': {
        const { place } = step;
        round.takeKeys(
          await askAll(step.of, nodes, undefined, (address) => this.calls.keys(address, pin, place, keysMs)),
        );
        return;
      }
      case 'truth':
        round.takeTruth(await this.truth.truths(pin, step.of));
        return;
      case 'nothing':
        return;
      default:
        unreachable(step);
    }
  }
}
