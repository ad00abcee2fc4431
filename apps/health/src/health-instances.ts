import { Injectable } from '@nestjs/common';
import type { HealthChanged, HealthStanding } from '#libs/contracts';
import type { Clock } from '#libs/kernel';
import { Bus } from '#libs/messaging';
import { LiveInstances } from './domain/live-instances.js';
import type { HealthSettings } from './health.config.js';
import { HealthStore } from './health.store.js';

/** The other instances: tells them that this one lives, and learns who of them does. */
@Injectable()
export class HealthInstances {
  private readonly instances: LiveInstances;
  private lastLookMs: number | undefined;
  private renewedAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly bus: Bus,
    private readonly store: HealthStore,
    private readonly settings: HealthSettings,
    private readonly clock: Clock,
  ) {
    this.instances = new LiveInstances(settings.instanceId, settings.lifeMs);
  }

  observe({ instanceId, leaving }: Pick<HealthStanding, 'instanceId' | 'leaving'>): void {
    if (leaving) this.instances.left(instanceId);
    else this.instances.observe(instanceId, this.clock.monotonicMs());
  }

  /** Who lives, as far as this instance could have heard: called on every tick. */
  alive(): string[] {
    const nowMs = this.clock.monotonicMs();
    const { tickEveryMs, ownPauseMs } = this.settings;
    const lateMs = nowMs - (this.lastLookMs ?? nowMs) - tickEveryMs;
    this.lastLookMs = nowMs;
    const hears = this.bus.responsive;
    if (!hears || lateMs > ownPauseMs) this.instances.resetDeadlines(nowMs);
    return this.instances.alive(nowMs, hears ? 'bus' : 'rows');
  }

  say(down: HealthChanged[], leaving: boolean): void {
    this.bus.publish('health.standing', { instanceId: this.settings.instanceId, leaving, down });
  }

  /** Seldom while the bus tells who lives, often while it does not. */
  async renewRow(): Promise<void> {
    const { instanceId, rowLifeMs, rowsEveryMs } = this.settings;
    const nowMs = this.clock.monotonicMs();
    const everyMs = this.bus.responsive ? rowsEveryMs.withBus : rowsEveryMs.withoutBus;
    if (nowMs - this.renewedAtMs < everyMs) return;
    this.renewedAtMs = nowMs;
    try {
      this.instances.rows(await this.store.instances.renew(instanceId, rowLifeMs));
    } catch (error) {
      this.instances.rows([]);
      throw error;
    }
  }

  async leave(): Promise<void> {
    this.say([], true);
    await this.store.instances.resign(this.settings.instanceId);
  }
}
