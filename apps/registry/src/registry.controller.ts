import { Controller, UseFilters } from '@nestjs/common';
import { type BaseRpcContext, Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
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
import { type AskedRequest, BusErrorFilter, speakerIn } from '#libs/messaging';
import { EvidenceIntake } from './evidence-intake.js';
import { RegistryService } from './registry.service.js';

/** The bus's door. Questions go to one instance of several; every instance hears the facts. */
@Controller()
@UseFilters(BusErrorFilter)
export class RegistryController {
  constructor(
    private readonly registry: RegistryService,
    private readonly intake: EvidenceIntake,
  ) {}

  @MessagePattern('registry.register')
  register(
    @Payload() request: AskedRequest<'registry.register'>,
    @Ctx() context: BaseRpcContext,
  ): Promise<RegisterReply> {
    return this.registry.register(request, speakerIn(context));
  }

  @MessagePattern('registry.deregister')
  async deregister(
    @Payload() request: AskedRequest<'registry.deregister'>,
    @Ctx() context: BaseRpcContext,
  ): Promise<Record<string, never>> {
    await this.registry.deregister(request, speakerIn(context));
    return {};
  }

  @MessagePattern('registry.list')
  list(@Payload() request: AskedRequest<'registry.list'>): ReplyPayload<'registry.list'> {
    return { nodes: this.registry.list(request) };
  }

  @MessagePattern('registry.get')
  get(@Payload() request: AskedRequest<'registry.get'>): Promise<GetNodeReply> {
    return this.registry.get(request.nodeId);
  }

  @EventPattern<string>('node.heartbeat', { members: true })
  heartbeat(@Payload() beat: NodeHeartbeat, @Ctx() context: BaseRpcContext): void {
    this.registry.heartbeat(beat, speakerIn(context));
  }

  @EventPattern<string>('node.failed')
  failed(@Payload() verdict: NodeVerdict): void {
    this.intake.verdict(verdict);
  }

  @EventPattern<string>('node.recovered')
  recovered(@Payload() verdict: NodeVerdict): void {
    this.intake.verdict(verdict);
  }

  @EventPattern<string>('node.hold')
  hold(@Payload() hold: NodeHold): void {
    this.intake.hold(hold);
  }

  @EventPattern<string>('health.changed')
  health(@Payload() change: HealthChanged): void {
    this.intake.health(change);
  }

  @EventPattern<string>('health.standing')
  healthStanding(@Payload() standing: HealthStanding): void {
    this.intake.healthStanding(standing);
  }

  @EventPattern<string>('node.status')
  status(@Payload() change: NodeStatusChanged): void {
    this.registry.statusChanged(change);
  }

  @EventPattern<string>('node.registered')
  registered(@Payload() fact: EventPayload<'node.registered'>): void {
    this.registry.registered(fact);
  }

  @EventPattern<string>('sync.head')
  head(@Payload() head: SyncHead): void {
    this.registry.noteHead(head.version);
  }
}
