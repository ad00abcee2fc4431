import type { WatchClient } from '../clients/watch-client.js';
import type { Writer } from '../clients/writer.js';
import type { Cluster } from '../cluster/cluster.js';
import type { World } from '../world/world.js';
import type { Oracle } from './oracle.js';

const WRITES_RESUME_MS = 25_000;

/** What must be true some time after the last fault, with everybody up and nobody writing any more. */
export function checkAtEnd(
  world: World,
  cluster: Cluster,
  oracle: Oracle,
  writers: readonly Writer[],
  watchers: readonly WatchClient[],
): void {
  const { head } = cluster.database.tables;
  const fail = (detail: string) => oracle.fail('everybody comes together', detail);
  const leader = head.leaderId === null ? undefined : cluster.nodes.get(head.leaderId);
  if (!leader?.engine.publisher.isLeading || leader.engine.leadership.termOfRole !== head.term) {
    fail(`nobody leads term ${head.term}: head names ${head.leaderId ?? 'nobody'}`);
  }
  for (const [name, { engine }] of cluster.nodes) {
    const { replica } = engine.host;
    if (replica.version !== head.version || replica.chain !== head.chain) {
      fail(`${name} stands at ${replica.version}, head at ${head.version}`);
    }
    if (engine.membership.condition !== 'ok') fail(`${name} is ${engine.membership.condition}`);
    oracle.compare(name, replica);
  }
  for (const [name, { directory }] of cluster.gateways) {
    const { term, address } = directory.target ?? {};
    if (term !== head.term || address !== `http://${head.leaderId}:7400`) {
      fail(`${name} aims at ${address} in term ${term}, not at ${head.leaderId} in term ${head.term}`);
    }
  }
  for (const watcher of watchers) {
    if ((watcher.seen ?? 0) < head.version) fail(`${watcher.name} was told up to ${watcher.seen}`);
  }
  const last = Math.max(0, ...writers.map((writer) => writer.lastAcknowledgedMs));
  if (world.nowMs - last > WRITES_RESUME_MS) fail(`no write has succeeded since ${Math.round(last)} ms`);
  checkLosses(cluster, oracle);
}

/** What the database lost and a node held was set aside by somebody: found, and told. */
function checkLosses(cluster: Cluster, oracle: Oracle): void {
  for (const { from, to, holders } of oracle.losses) {
    if (holders.size === 0) continue;
    const kept = new Set([...cluster.disks.values()].flatMap((disk) => disk.discarded));
    if (!kept.has(from)) {
      oracle.fail(
        'a loss is found',
        `versions ${from} to ${to} were lost, ${[...holders].join(', ')} had them, and nobody said so`,
      );
    }
  }
}
