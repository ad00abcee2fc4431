import { Controller, UseFilters } from '@nestjs/common';
import type { BaseRpcContext } from '@nestjs/microservices';
import type {
  EventPayload,
  GetNodeReply,
  HealthChanged,
  HealthStanding,
  NodeHeartbeat,
  NodeHold,
  NodeStatusChanged,
  NodeVerdict,
  RegisterReply,
  ReplyPayload,
  SyncHead,
} from '#libs/contracts';
import { Answers, type AskedRequest, BusErrorFilter, OnEvent, speakerIn } from '#libs/messaging';
import { EvidenceIntake } from './evidence-intake.js';
import { RegistryService } from './registry.service.js';

/** What this service receives on the bus. One instance of several answers a request; every instance receives the events. */
@Controller()
@UseFilters(BusErrorFilter)
export class RegistryController {
  constructor(
    private readonly registry: RegistryService,
    private readonly intake: EvidenceIntake,
  ) {}

  @Answers('registry.register')
  register(request: AskedRequest<'registry.register'>, context: BaseRpcContext): Promise<RegisterReply> {
    return this.registry.register(request, speakerIn(context));
  }

  @Answers('registry.deregister')
  async deregister(
    request: AskedRequest<'registry.deregister'>,
    context: BaseRpcContext,
  ): Promise<Record<string, never>> {
    await this.registry.deregister(request, speakerIn(context));
    return {};
  }

  @Answers('registry.list')
  list(request: AskedRequest<'registry.list'>): ReplyPayload<'registry.list'> {
    return { nodes: this.registry.list(request) };
  }

  @Answers('registry.get')
  get(request: AskedRequest<'registry.get'>): Promise<GetNodeReply> {
    return this.registry.get(request.nodeId);
  }

  @OnEvent('node.heartbeat', { members: true })
  heartbeat(beat: NodeHeartbeat, context: BaseRpcContext): void {
    this.registry.heartbeat(beat, speakerIn(context));
  }

  @OnEvent('node.failed')
  failed(verdict: NodeVerdict): void {
    this.intake.verdict(verdict);
  }

  @OnEvent('node.recovered')
  recovered(verdict: NodeVerdict): void {
    this.intake.verdict(verdict);
  }

  @OnEvent('node.hold')
  hold(hold: NodeHold): void {
    this.intake.hold(hold);
  }

  @OnEvent('health.changed')
  health(change: HealthChanged): void {
    this.intake.health(change);
  }

  @OnEvent('health.standing')
  healthStanding(standing: HealthStanding): void {
    this.intake.healthStanding(standing);
  }

  @OnEvent('node.status')
  status(change: NodeStatusChanged): void {
    this.registry.statusChanged(change);
  }

  @OnEvent('node.registered')
  registered(fact: EventPayload<'node.registered'>): void {
    this.registry.registered(fact);
  }

  @OnEvent('sync.head')
  head(head: SyncHead): void {
    this.registry.noteHead(head.version);
  }
}
