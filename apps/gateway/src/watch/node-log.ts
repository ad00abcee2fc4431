import { z } from 'zod';
import { type Change, FrameDamaged, Problem, valueFromJson } from '#libs/contracts';
import type { LogPage, LogQuery, PresentPage, PresentQuery } from '#libs/watch';
import type { AskNode } from '../nodes/ask-node.js';

/** A page of `GET /v1/namespaces/{ns}/configs`. */
const Listing = z.object({
  version: z.number(),
  items: z.array(
    z.object({
      key: z.string(),
      value: z.string(),
      encoding: z.literal('base64').optional(),
      contentType: z.string(),
      version: z.number(),
      checksum: z.string(),
      updatedAt: z.string(),
    }),
  ),
  cursor: z.string().optional(),
});

const Head = z.object({ version: z.number().int().nonnegative() });

/** What watchers need and this gateway does not hold, from whichever node has it. */
export class NodeLog {
  constructor(private readonly nodes: AskNode) {}

  /**
   * Changes above `after` (0 = the oldest that are kept), in order. `compacted` also when no node can send what follows
   * in a form that can be read: watchers are better off with a reset than with a page that never comes.
   */
  async after({ after, limit, maxBytes, namespaces }: LogQuery): Promise<LogPage | 'compacted'> {
    try {
      const bounds = `limit=${limit}&maxBytes=${maxBytes}&namespaces=${namespaces.join(',')}`;
      const { changes, through } = await this.nodes.changes(`/internal/log?after=${after}&${bounds}`);
      if (through !== undefined) return { changes, through };
      // A node of the release before: everything, in larger pages.
      const page = within(changes, after, maxBytes);
      return page === 'compacted' ? page : { changes: page, through: page.at(-1)?.version ?? after };
    } catch (error) {
      if (error instanceof FrameDamaged) return 'compacted';
      if (error instanceof Problem && error.code === 'version-compacted') return 'compacted';
      throw error;
    }
  }

  /** Where the cluster's history ends, as some node learns from the database now; undefined when none does. */
  async newestVersion(): Promise<number | undefined> {
    try {
      return Head.parse(await this.nodes.json('/internal/head')).version;
    } catch (error) {
      if (error instanceof Problem) return undefined;
      throw error;
    }
  }

  /** Present values of a prefix, all as of one version. */
  async present({
    namespace,
    prefix,
    after,
    atVersion,
    limit,
    maxBytes,
  }: PresentQuery): Promise<PresentPage | 'expired'> {
    // A cursor says at which version to list: what a node answers to it is of that version or an error.
    const cursor = Buffer.from(JSON.stringify([namespace, prefix, atVersion, after ?? ''])).toString(
      'base64url',
    );
    const query = new URLSearchParams({ limit: String(limit), minVersion: String(atVersion), cursor });
    try {
      const path = `/v1/namespaces/${namespace}/configs?${query.toString()}`;
      const { items, cursor: next } = Listing.parse(await this.nodes.listing(path, maxBytes));
      const entries = items.map(({ value, encoding, ...item }) => ({
        ...item,
        namespace,
        value: valueFromJson({ value, encoding }),
      }));
      return { entries, more: next !== undefined };
    } catch (error) {
      if (error instanceof Problem && error.code === 'cursor-expired') return 'expired';
      throw error;
    }
  }
}

/** At least one change if there is one, else as many as fit; a first change that leaves a hole says what is gone. */
function within(
  changes: readonly Change[],
  after: number,
  maxBytes: number,
): readonly Change[] | 'compacted' {
  const [first] = changes;
  if (first !== undefined && after > 0 && (first.lost?.from ?? first.version) > after + 1) return 'compacted';
  let bytes = 0;
  const beyond = changes.findIndex((change, index) => {
    for (const operation of change.operations) if (operation.op === 'put') bytes += operation.value.length;
    return index > 0 && bytes > maxBytes;
  });
  return beyond < 0 ? changes : changes.slice(0, beyond);
}
