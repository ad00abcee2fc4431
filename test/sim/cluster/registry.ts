import { Problem } from '#libs/contracts';
import { repeat } from '#libs/kernel';
import { LocalPauseGuard } from '../../../apps/registry/src/domain/local-pause-guard.js';
import type { MemberRecord, Transition } from '../../../apps/registry/src/domain/member.js';
import { MemberTable } from '../../../apps/registry/src/domain/member-table.js';
import { registrySettings } from '../../../apps/registry/src/registry.config.js';
import type { SimProcess } from '../world/process.js';
import type { Platform } from './platform.js';
import { asBus, SimBus } from './sim-bus.js';

/** Rows of the registry: they survive its process. */
export type RegistryRows = Map<string, MemberRecord>;

/** The registry: its real membership; a thin shell in place of its stores and its journal. */
export function startRegistry(platform: Platform, process: SimProcess, rows: RegistryRows): void {
  const settings = registrySettings('local');
  const members = new MemberTable(settings);
  const hearing = new LocalPauseGuard(settings);
  const bus = asBus(new SimBus(process, platform.broker));
  const nowMs = () => process.clock.monotonicMs();
  const now = () => new Date(process.clock.wallMs()).toISOString();
  for (const record of rows.values()) members.merge(record, nowMs(), { authoritative: true });

  const tell = (transition: Transition | undefined) => {
    if (transition === undefined) return;
    const record = members.get(transition.nodeId);
    if (record !== undefined) rows.set(record.nodeId, record);
    bus.publish('node.status', { ...transition, at: now() });
  };
  bus.handle(
    'registry.register',
    (request) => {
      const result = members.register({ ...request, address: request.address ?? null }, now(), nowMs());
      if (result.outcome === 'full') throw new Problem('cluster-busy', 'there are too many members');
      if (result.outcome === 'not-newer') return { accepted: false, exceed: result.exceed };
      const node = members.info(result.record);
      bus.publish('node.registered', { node });
      tell(result.transition);
      const { heartbeatEveryMs, heartbeatTimeoutMs } = settings;
      return { accepted: true, node, heartbeatEveryMs, heartbeatTimeoutMs };
    },
    { queue: 'registry' },
  );
  bus.handle('registry.list', () => ({ nodes: members.records().map((record) => members.info(record)) }), {
    queue: 'registry',
  });
  bus.subscribe('node.heartbeat', (beat) => {
    const result = members.heartbeat(beat, now(), nowMs());
    if (result.outcome === 'applied' || result.outcome === 'adopted') tell(result.transition);
  });
  bus.subscribe('node.failed', (verdict) => tell(members.verdict(verdict, nowMs())));
  bus.subscribe('node.recovered', (verdict) => tell(members.verdict(verdict, nowMs())));
  bus.subscribe('node.hold', (hold) => tell(members.hold(hold, nowMs(), process.clock.wallMs()).transition));
  bus.subscribe('sync.head', ({ version }) => members.noteHead(version));
  const tick = () => {
    if (hearing.observe(nowMs(), bus.responsive) !== 'hears') members.resetHeartbeatDeadlines(nowMs());
    else for (const transition of members.tick(nowMs())) tell(transition);
  };
  repeat(tick, {
    everyMs: settings.tickEveryMs,
    onError: (error) => process.world.fail('the registry broke', String(error)),
  });
}
