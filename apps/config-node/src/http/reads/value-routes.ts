import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { HEADERS, LIMITS, Problem, parseQuery, QUERIES, valueToJson } from '#libs/contracts';
import type { Entry } from '#libs/replica';
import type { KeyAddress } from '../../domain/log.types.js';
import type { ReplicaHost } from '../../replica/replica-host.js';
import { demandJsonAccepted, readHeaders, sendEntry, sendJson, sendNotModified } from '../answers.js';
import type { ReadParts } from '../public-api.deps.js';
import { keyAddress, namespaceOf } from '../request/address.js';
import { type ConfigsListQuery, configsQuery } from '../request/configs-query.js';
import { namesVersion, parseTags } from '../request/entity-tag.js';
import {
  decodeCursor,
  decodeNamespaceCursor,
  encodeCursor,
  encodeNamespaceCursor,
} from '../request/list-cursor.js';
import { objectWithList } from '../sliced-json.js';
import type { ReadDemands } from './read-gate.js';

export interface ValueRoutesParts extends Pick<ReadParts, 'gate' | 'past' | 'heavy'> {
  host: ReplicaHost;
}

/** GET and HEAD of a value and of a listing, and the list of namespaces: from memory. */
export class ValueRoutes {
  constructor(private readonly parts: ValueRoutesParts) {}

  register(fastify: FastifyInstance): void {
    fastify.get('/v1/namespaces', (request, reply) => this.namespaces(request, reply));
    fastify.get('/v1/namespaces/:ns/configs/*', async (request, reply) => {
      const query = parseQuery(QUERIES.value, request.url);
      return this.value(request, reply, keyAddress(request.url, undefined), query);
    });
    fastify.get('/v1/namespaces/:ns/configs', async (request, reply) => {
      const query = configsQuery(request.url);
      return query.asks === 'list'
        ? this.list(request, reply, query)
        : this.value(request, reply, keyAddress(request.url, query.key), query);
    });
  }

  private async namespaces(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { gate, host } = this.parts;
    const query = parseQuery(QUERIES.namespaces, request.url);
    demandJsonAccepted(request);
    const after = query.cursor === undefined ? '' : decodeNamespaceCursor(query.cursor);
    await gate.pass(query, request.headers);
    const { namespaces, more } = host.replica.namespacesAfter(after, query.limit);
    const cursor = more ? encodeNamespaceCursor(namespaces.at(-1)?.name ?? '') : undefined;
    return sendJson(reply, host, { version: host.replica.version, namespaces, cursor });
  }

  private async value(
    request: FastifyRequest,
    reply: FastifyReply,
    address: KeyAddress,
    query: ReadDemands & { version?: number | undefined },
  ): Promise<FastifyReply> {
    const { gate, host, past } = this.parts;
    const { namespace, key } = address;
    await gate.pass(query, request.headers);
    if (query.version !== undefined) await gate.reachExisting(query.version, query);
    const entry =
      query.version === undefined ? host.replica.get(namespace, key) : await past.at(address, query.version);
    if (entry === undefined) {
      // "Absent as of this version" is knowledge too: a client that has it must not go back in time.
      reply.headers(readHeaders(host));
      throw absent(address, query.version);
    }
    const known = request.headers['if-none-match'];
    if (known !== undefined && namesVersion(parseTags('If-None-Match', known), entry.version)) {
      return sendNotModified(reply, host, entry.version);
    }
    return sendEntry(reply, host, entry);
  }

  private async list(
    request: FastifyRequest,
    reply: FastifyReply,
    query: ConfigsListQuery,
  ): Promise<FastifyReply> {
    const { gate, host, heavy } = this.parts;
    demandJsonAccepted(request);
    const namespace = namespaceOf(request.url);
    const from = query.cursor === undefined ? undefined : decodeCursor(query.cursor, namespace, query.prefix);
    await gate.pass(query, request.headers);
    if (from !== undefined) await gate.reach(from.version, query.timeout ?? LIMITS.minVersionWaitMs);
    const prefix = from?.prefix ?? query.prefix ?? '';
    const page = host.replica.list({
      namespace,
      prefix,
      after: from?.after,
      limit: query.limit,
      maxBytes: pageBytes(request.headers[HEADERS.pageBytes]),
      atVersion: from?.version,
    });
    if (page === 'expired') {
      throw new Problem('cursor-expired', 'this node can no longer list at that version: begin again');
    }
    const last = page.entries.at(-1);
    const cursor =
      page.more && last !== undefined
        ? encodeCursor({ namespace, prefix, version: page.version, after: last.key })
        : undefined;
    const bytes = query.values ? page.entries.reduce((sum, { value }) => sum + value.length, 0) : 0;
    const size = { bytes, items: page.entries.length };
    return heavy.send(reply, size, () =>
      objectWithList({ version: page.version, cursor }, 'items', itemsOf(page.entries, query.values)),
    );
  }
}

/** A header that asks for nothing sensible asks for nothing. */
function pageBytes(header: string | string[] | undefined): number {
  const asked = typeof header === 'string' && /^[1-9]\d{0,8}$/.test(header) ? Number(header) : undefined;
  return Math.min(asked ?? LIMITS.listPageBytes, LIMITS.listPageBytes);
}

function absent({ namespace, key }: KeyAddress, version: number | undefined): Problem {
  return version === undefined
    ? new Problem('key-not-found', `there is no key '${key}' in '${namespace}'`, { namespace, key })
    : new Problem(
        'version-not-found',
        `the key '${key}' of '${namespace}' had no value at version ${version}`,
        {
          namespace,
          key,
        },
      );
}

function* itemsOf(entries: readonly Entry[], values: boolean): Generator<string> {
  for (const entry of entries) yield JSON.stringify(listItem(entry, values));
}

function listItem(entry: Entry, values: boolean) {
  const { key, contentType, version, checksum, updatedAt } = entry;
  return { key, ...(values ? valueToJson(entry.value) : {}), contentType, version, checksum, updatedAt };
}
