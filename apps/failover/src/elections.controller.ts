import { Controller, UseFilters } from '@nestjs/common';
import { type HandoverReply, type ReplyPayload } from '#libs/contracts';
import { Answers, type AskedRequest, BusErrorFilter } from '#libs/messaging';
import { WitnessService } from './detection/witness.service.js';
import { HandoverService } from './election/handover.service.js';
import { FailoverStore } from './failover.store.js';

import { stored } from './stored.js';
/** Elections and handovers. Every instance answers as a witness; the other requests go to one of them. */
@Controller()
@UseFilters(BusErrorFilter)
export class ElectionsController {
  constructor(
    private readonly witnesses: WitnessService,
    private readonly handovers: HandoverService,
    private readonly store: FailoverStore,
  ) {}

  @Answers('failover.witness', { queue: null })
  witness(request: AskedRequest<'failover.witness'>): Promise<ReplyPayload<'failover.witness'>> {
    return this.witnesses.answer(request);
  }

  @Answers('failover.handover')
  handover(request: AskedRequest<'failover.handover'>): Promise<HandoverReply> {
    return this.handovers.handOver(request.to);
  }

  @Answers('failover.elections')
  async elections(request: AskedRequest<'failover.elections'>): Promise<ReplyPayload<'failover.elections'>> {
    return { elections: await stored(this.store.elections(request.limit)) };
  }
}
