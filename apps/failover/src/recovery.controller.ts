import { Controller, UseFilters } from '@nestjs/common';
import { type HoldReply, type ReplyPayload, type RestartReply } from '#libs/contracts';
import { Answers, type AskedRequest, BusErrorFilter } from '#libs/messaging';
import { OperatorService } from './operator.service.js';
import { RecoveryStore } from './recovery/recovery.store.js';

import { stored } from './stored.js';
/** What operators ask of recovery, and what it did. */
@Controller()
@UseFilters(BusErrorFilter)
export class RecoveryController {
  constructor(
    private readonly recoveries: RecoveryStore,
    private readonly operator: OperatorService,
  ) {}

  @Answers('failover.holds')
  async allHolds(): Promise<ReplyPayload<'failover.holds'>> {
    return { holds: await stored(this.recoveries.holds()) };
  }

  @Answers('failover.recoveries')
  async steps({
    limit,
    nodeId,
  }: AskedRequest<'failover.recoveries'>): Promise<ReplyPayload<'failover.recoveries'>> {
    return { recoveries: await stored(this.recoveries.steps(limit, nodeId)) };
  }

  @Answers('failover.drain')
  drain({ nodeId, drained, why }: AskedRequest<'failover.drain'>): Promise<HoldReply> {
    return this.operator.drain(nodeId, drained, why);
  }

  @Answers('failover.release')
  release({ nodeId, why }: AskedRequest<'failover.release'>): Promise<HoldReply> {
    return this.operator.release(nodeId, why);
  }

  @Answers('failover.restart')
  restart({ nodeId, why }: AskedRequest<'failover.restart'>): Promise<RestartReply> {
    return this.operator.restart(nodeId, why);
  }
}
