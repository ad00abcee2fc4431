import { crashOnDefect, sleep } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import type { PeerClient } from '../peers/peer-client.js';
import type { PeerTable } from '../peers/peer-table.js';

/** The first write of a term waits for the answers. A process that ended refuses at once; a frozen one says nothing. */
const WAIT_MS = 500;
/** The leader that was replaced has most likely no answer to give. */
const WAIT_FOR_PREVIOUS_MS = 100;

/** Asks the nodes that can be reached how far any history went that they ever held. */
export class HighestVersion {
  constructor(
    private readonly peers: Pick<PeerTable, 'others'>,
    private readonly client: Pick<PeerClient, 'ping'>,
    private readonly logger: Logger,
  ) {}

  /**
   * The highest version up to `limit` that any of them held, be it one that it gave up since the database lost it. Asked
   * over HTTP: what a silent bus would have told was heard by nobody. Example: n1 led up to 9 and died; the database
   * fails over and comes back at 6, and n2 gives 7..9 up; n3, which stood at 6 all the time, is elected. Without n2's
   * answer it would give the numbers 7..9 to other contents.
   */
  async ask(clusterId: string | null, limit: number, previousLeaderId: string | null): Promise<number> {
    let highest = 0;
    const asked = this.peers.others().map(async ({ id, address }) => {
      const answer = this.ofPeer(id, address, clusterId).then((versions) => {
        highest = Math.max(highest, ...versions.filter((version) => version <= limit));
      });
      await Promise.race([answer, sleep(id === previousLeaderId ? WAIT_FOR_PREVIOUS_MS : WAIT_MS)]);
    });
    await Promise.all(asked);
    return highest;
  }

  private async ofPeer(id: string, address: string, clusterId: string | null): Promise<number[]> {
    try {
      const ping = await this.client.ping(address);
      const isPeer = ping.nodeId === id && ping.clusterId === clusterId;
      return isPeer ? [ping.version, ping.highestVersion ?? 0] : [];
    } catch (error) {
      crashOnDefect(error);
      this.logger.debug({ error, node: id }, 'a node did not tell the highest version that it held');
      return [];
    }
  }
}
