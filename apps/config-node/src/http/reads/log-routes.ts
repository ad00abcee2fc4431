import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Change, LIMITS, namespaceFault, Problem, parseQuery, QUERIES } from '#libs/contracts';
import { changeJson } from '#libs/watch';
import type { HistoryItem, KeyAddress } from '../../domain/log.types.js';
import type { StoredHistory } from '../../history/stored-history.js';
import type { ReplicaHost } from '../../replica/replica-host.js';
import { demandJsonAccepted, readHeaders, sendJson } from '../answers.js';
import type { ReadParts } from '../public-api.deps.js';
import { keyAddress } from '../request/address.js';
import { decodeCursor, encodeCursor } from '../request/list-cursor.js';
import { objectWithList } from '../sliced-json.js';
import type { DiffSide } from '../values/unified-diff.ts';
import type { ValueWorkers } from '../values/value-workers.js';
import { versionCompacted } from './past-values.js';

export interface LogRoutesParts extends ReadParts {
  host: ReplicaHost;
  store: StoredHistory;
  workers: ValueWorkers;
}

/** The change log for people: changes, the history of a key, and the difference of two of its versions. */
export class LogRoutes {
  constructor(private readonly parts: LogRoutesParts) {}

  register(fastify: FastifyInstance): void {
    fastify.get('/v1/changes', (request, reply) => this.changes(request, reply));
    for (const key of ['', '/*']) {
      fastify.get(`/v1/namespaces/:ns/history${key}`, (request, reply) => this.history(request, reply));
      fastify.get(`/v1/namespaces/:ns/diff${key}`, (request, reply) => this.diff(request, reply));
    }
  }

  private async changes(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { gate, host, heavy } = this.parts;
    const query = parseQuery(QUERIES.changes, request.url);
    demandJsonAccepted(request);
    const fault = query.namespace === undefined ? undefined : namespaceFault(query.namespace);
    if (fault !== undefined) throw new Problem('invalid-key', fault);
    await gate.pass(query, request.headers);
    const changes = await this.changesAfter(query);
    const head = Math.max(host.replica.version, changes.at(-1)?.version ?? 0);
    return heavy.send(reply, sizeOf(changes), () => objectWithList({ head }, 'changes', inPieces(changes)));
  }

  private async changesAfter({ after, limit, namespace }: ChangesQuery): Promise<Change[]> {
    const { host, storage, store } = this.parts;
    const maxBytes = LIMITS.listPageBytes;
    if (namespace === undefined) {
      const recent = host.replica.changesAfter(after, limit, maxBytes);
      if (recent !== 'compacted') return recent;
    }
    const changes = await storage.log(() =>
      namespace === undefined
        ? store.log.changesAfter(after, limit, maxBytes)
        : store.log.changesIn(namespace, { after, limit, maxBytes }),
    );
    if (changes !== 'compacted') return changes;
    const floor = await storage.log(() =>
      namespace === undefined ? store.log.floor() : store.log.floorOf(namespace),
    );
    throw versionCompacted(floor);
  }

  private async history(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { gate, host, storage, store } = this.parts;
    demandJsonAccepted(request);
    const query = parseQuery(QUERIES.history, request.url);
    const address = keyAddress(request.url, query.key);
    const before = query.cursor === undefined ? undefined : cursorVersion(query.cursor, address);
    await gate.pass(query, request.headers);
    const items = await storage.log(() =>
      store.log.history(address.namespace, address.key, { limit: query.limit + 1, before }),
    );
    if (items.length === 0 && before === undefined) throw neverExisted(address);
    const page = items.slice(0, query.limit);
    const last = page.at(-1);
    const more = items.length > page.length && last !== undefined;
    return sendJson(reply, host, {
      ...address,
      items: page.map(({ created: _, ...item }) => item),
      ...(more ? { cursor: versionCursor(last.version, address) } : {}),
    });
  }

  private async diff(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const patch = await this.patch(request);
    return reply
      .headers({
        ...readHeaders(this.parts.host),
        'cache-control': 'no-cache',
        'content-type': 'text/plain; charset=utf-8',
      })
      .send(patch);
  }

  private async patch(request: FastifyRequest): Promise<string> {
    const { gate, storage, store, workers } = this.parts;
    const query = parseQuery(QUERIES.diff, request.url);
    const address = keyAddress(request.url, query.key);
    await gate.pass(query, request.headers);
    for (const version of [query.from, query.to]) {
      if (version !== undefined) await gate.reachExisting(version, query);
    }
    const [to, previous] = await this.versionsUpTo(address, query.to);
    if (to === undefined)
      throw query.to === undefined ? neverExisted(address) : await this.notThere(address, query.to);
    if (query.from === undefined && previous === undefined && !to.created) {
      const floor = await storage.log(() => store.log.floorOf(address.namespace));
      if (floor > 1) throw versionCompacted(floor, { ...address });
    }
    const from = query.from === undefined ? previous : (await this.versionsUpTo(address, query.from))[0];
    if (from === undefined && query.from) throw await this.notThere(address, query.from);
    const [before, after] = await Promise.all([this.side(address, from), this.side(address, to)]);
    if (before.binary || after.binary) return `Binary values ${before.name} and ${after.name} differ\n`;
    return workers.diff(before, after);
  }

  /** The version of the key that stood at `version`, and the one before it. */
  private versionsUpTo({ namespace, key }: KeyAddress, version: number | undefined): Promise<HistoryItem[]> {
    const { storage, store } = this.parts;
    const before = version === undefined ? undefined : version + 1;
    return storage.log(() => store.log.history(namespace, key, { limit: 2, before }));
  }

  private async notThere(address: KeyAddress, version: number): Promise<Problem> {
    const { storage, store } = this.parts;
    const floor = await storage.log(() => store.log.floorOf(address.namespace));
    return version + 1 < floor ? versionCompacted(floor, { ...address }) : noSuchVersion(address, version);
  }

  private async side(
    address: KeyAddress,
    item: HistoryItem | undefined,
  ): Promise<DiffSide & { binary: boolean }> {
    const entry = item?.op === 'put' ? await this.parts.past.at(address, item.version) : undefined;
    if (entry === undefined) return { name: '/dev/null', text: '', binary: false };
    const name = `${address.namespace}/${address.key}@${entry.version}`;
    const binary = !isUtf8(entry.value);
    return { name, text: binary ? '' : entry.value.toString('utf8'), binary };
  }
}

interface ChangesQuery {
  after: number;
  limit: number;
  namespace?: string | undefined;
}

function sizeOf(changes: readonly Change[]): { bytes: number; items: number } {
  let bytes = 0;
  let items = 0;
  for (const { operations } of changes) {
    items += 1 + operations.length;
    for (const operation of operations) if (operation.op === 'put') bytes += operation.value.length;
  }
  return { bytes, items };
}

/** Every change in JSON, of which one alone may have 4 MiB of values: operation by operation. */
function* inPieces(changes: readonly Change[]): Generator<Iterable<string>> {
  for (const change of changes) {
    const { operations: _, ...said } = changeJson({ ...change, operations: [] });
    const fields = { ...said, ...(change.lost ? { lost: change.lost } : {}) };
    yield objectWithList(fields, 'operations', operationsOf(change));
  }
}

function* operationsOf(change: Change): Generator<string> {
  for (const operation of change.operations) {
    for (const json of changeJson({ ...change, operations: [operation] }).operations) {
      yield JSON.stringify(json);
    }
  }
}

/** A history's cursor is that of a listing whose last key is the key and whose version is the last one shown. */
function versionCursor(version: number, { namespace, key }: KeyAddress): string {
  return encodeCursor({ namespace, prefix: key, version, after: '' });
}

function cursorVersion(cursor: string, { namespace, key }: KeyAddress): number {
  return decodeCursor(cursor, namespace, key).version;
}

function neverExisted({ namespace, key }: KeyAddress): Problem {
  return new Problem('key-not-found', `there is no history of a key '${key}' in '${namespace}'`, {
    namespace,
    key,
  });
}

function noSuchVersion({ namespace, key }: KeyAddress, version: number): Problem {
  return new Problem(
    'version-not-found',
    `the key '${key}' of '${namespace}' did not exist at version ${version}`,
    {
      namespace,
      key,
    },
  );
}
