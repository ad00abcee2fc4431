import type { z } from 'zod';
import { HandoverRequest } from '../bus/subjects.js';
import { ConsistencyCheckRequest } from '../consistency.js';
import type { ErrorCode } from '../http/errors.js';
import { ChangeSetRequest, RollbackRequest } from '../http/public-api.js';
import { LIMITS } from '../limits.js';
import { OperatorRequest } from '../recovery.js';
import { SYSTEM_KEYS } from '../system-keys.js';
import { QUERIES } from './parameters.js';
import {
  ChangeSetAnswer,
  ChangesAnswer,
  ClusterAnswer,
  ConsistencyAnswer,
  ConsistencyCheckAnswer,
  DeleteAnswer,
  ElectionsAnswer,
  HandoverAnswer,
  HistoryAnswer,
  HoldAnswer,
  ListAnswer,
  LongPollAnswer,
  NamespacesAnswer,
  NodeDetailAnswer,
  PutAnswer,
  RecoveriesAnswer,
  RestartAnswer,
  SyncAnswer,
} from './responses.js';

/** Request headers that have a meaning, by the name under which the document describes them. */
export type RequestHeader =
  | 'IfMatch'
  | 'IfNoneMatch'
  | 'IdempotencyKey'
  | 'Comment'
  | 'Author'
  | 'MinVersion'
  | 'LastEventId';

export interface RouteResponse {
  means: string;
  /** Media type -> schema; `null` = bytes or text without a schema. */
  content?: Readonly<Record<string, z.ZodType | null>>;
  /** Carries the key's version. */
  etag?: boolean;
}

export interface Route {
  id: string;
  tag: 'Configuration' | 'Watch' | 'Cluster';
  method: 'get' | 'head' | 'put' | 'post' | 'delete';
  /** `{ns}`, `{id}` are one segment, `{key}` is the rest of the path. */
  path: string;
  summary: string;
  description?: string;
  servedBy: readonly ('node' | 'gateway')[];
  query: z.ZodObject;
  headers?: readonly RequestHeader[];
  /** `value` = the bytes of a value, of the type that Content-Type names; else JSON of this shape. */
  body?: 'value' | z.ZodType;
  answers: Readonly<Record<number, RouteResponse>>;
  /** Beside those that any request may get. */
  errors: readonly ErrorCode[];
}

const EVERYWHERE = ['node', 'gateway'] as const;
const GATEWAY = ['gateway'] as const;

const json = (schema: z.ZodType) => ({ 'application/json': schema });
const VALUE: RouteResponse = {
  means: 'The value, byte for byte, with its own type.',
  content: { '*/*': null },
  etag: true,
};
const UNCHANGED: RouteResponse = { means: 'The client has it already (If-None-Match).', etag: true };
const EVENTS = (schema: z.ZodType): RouteResponse => ({
  means: 'Server-sent events; with `wait` one JSON document.',
  content: { 'text/event-stream': null, 'application/json': schema },
});

const WAITS = ['version-not-reached', 'cluster-busy'] as const;
const READS_STORAGE = [...WAITS, 'storage-unavailable', 'no-available-node'] as const;
const VALUE_ERRORS = [
  'invalid-key',
  'key-not-found',
  'version-not-found',
  'version-compacted',
  ...READS_STORAGE,
] as const;
const WRITE_ERRORS = [
  'invalid-key',
  'not-leader',
  'idempotency-key-reused',
  'precondition-failed',
  'cluster-busy',
  'no-leader',
  'no-available-node',
  'storage-unavailable',
  'shutting-down',
  'outcome-unknown',
] as const;
const VALUE_WRITE_ERRORS = [
  ...WRITE_ERRORS,
  'invalid-value',
  'value-too-large',
  'request-timeout',
  'unsupported-content-type',
] as const;
const WATCH_ERRORS = [
  'invalid-key',
  'not-acceptable',
  'version-compacted',
  'cluster-busy',
  'shutting-down',
  'storage-unavailable',
  'no-available-node',
] as const;
const WRITE_HEADERS = ['IfMatch', 'IfNoneMatch', 'IdempotencyKey', 'Comment', 'Author'] as const;

const WRITABLE =
  '`system` and `system.*` are reserved: they can be read, and writing them is 403 `forbidden`, but for operators, who ' +
  "give the cluster's secret in `Holdfast-Cluster-Key`: they may write the keys that Holdfast has there " +
  `(${Object.keys(SYSTEM_KEYS).join(', ')}), in JSON of their schema, else 422 \`invalid-value\` with the \`field\`.`;
const MIB = 1024 * 1024;
const CHANGE_SET_BOUNDS =
  `At most ${LIMITS.changeSetOperations} operations, values of ${LIMITS.changeSetBytes / MIB} MiB and a body of ` +
  `${LIMITS.changeSetBodyBytes / MIB} MiB: as base64 any values fit, while text that is mostly JSON escapes may not.`;
const BODY =
  'A value declared in another charset than UTF-8 (`Content-Type: text/plain; charset=iso-8859-1`) is stored in UTF-8. An ' +
  'empty value is `Content-Length: 0` with a Content-Type: a request without a body is 400. JSON, YAML, TOML and properties ' +
  'are checked (docs/value-formats.md).';
const WATCHED =
  'The first event is a `bookmark` with the starting version, never below `from`. `change` = one change set with its matching ' +
  'operations, versions strictly rise; `bookmark` = nothing that matches up to this version is still to come, at least every 5 s; ' +
  '`reset` = list, then watch from there; `end` = connect again from this version. With `initial=true` the present values come ' +
  'first, as `put` events of one version.';

/** Every request of the public interface. Routers, the OpenAPI document and tests read this one table. */
export const ROUTES: readonly Route[] = [
  {
    id: 'putConfig',
    tag: 'Configuration',
    method: 'put',
    path: '/v1/namespaces/{ns}/configs/{key}',
    summary: 'Publish a value',
    description: `An equal value is a new version. ${BODY} ${WRITABLE}`,
    servedBy: EVERYWHERE,
    query: QUERIES.write,
    headers: WRITE_HEADERS,
    body: 'value',
    answers: {
      200: { means: 'A new version of the key.', content: json(PutAnswer), etag: true },
      201: { means: 'The key is new.', content: json(PutAnswer), etag: true },
    },
    errors: VALUE_WRITE_ERRORS,
  },
  {
    id: 'putConfigByQuery',
    tag: 'Configuration',
    method: 'put',
    path: '/v1/namespaces/{ns}/configs',
    summary: 'Publish a value, the key in the query',
    servedBy: EVERYWHERE,
    query: QUERIES.writeByKey,
    headers: WRITE_HEADERS,
    body: 'value',
    answers: {
      200: { means: 'A new version of the key.', content: json(PutAnswer), etag: true },
      201: { means: 'The key is new.', content: json(PutAnswer), etag: true },
    },
    errors: VALUE_WRITE_ERRORS,
  },
  {
    id: 'deleteConfig',
    tag: 'Configuration',
    method: 'delete',
    path: '/v1/namespaces/{ns}/configs/{key}',
    summary: 'Delete a key',
    description: WRITABLE,
    servedBy: EVERYWHERE,
    query: QUERIES.write,
    headers: ['IfMatch', 'IdempotencyKey', 'Comment', 'Author'],
    answers: { 200: { means: 'Deleted.', content: json(DeleteAnswer) } },
    errors: ['key-not-found', ...WRITE_ERRORS],
  },
  {
    id: 'deleteConfigByQuery',
    tag: 'Configuration',
    method: 'delete',
    path: '/v1/namespaces/{ns}/configs',
    summary: 'Delete a key, the key in the query',
    servedBy: EVERYWHERE,
    query: QUERIES.writeByKey,
    headers: ['IfMatch', 'IdempotencyKey', 'Comment', 'Author'],
    answers: { 200: { means: 'Deleted.', content: json(DeleteAnswer) } },
    errors: ['key-not-found', ...WRITE_ERRORS],
  },
  ...(['get', 'head'] as const).map(
    (method): Route => ({
      id: `${method}Config`,
      tag: 'Configuration',
      method,
      path: '/v1/namespaces/{ns}/configs/{key}',
      summary: method === 'get' ? 'Read a value' : 'Read the headers of a value',
      servedBy: EVERYWHERE,
      query: QUERIES.value,
      headers: ['IfNoneMatch', 'MinVersion'],
      answers: { 200: VALUE, 304: UNCHANGED },
      errors: VALUE_ERRORS,
    }),
  ),
  {
    id: 'listConfigs',
    tag: 'Configuration',
    method: 'get',
    path: '/v1/namespaces/{ns}/configs',
    summary: 'List keys, or with `key` read one',
    description:
      'Pages end at `limit` items or 4 MiB. All pages are of one version, which the cursor carries. With `key` the answer is that of `getConfig`.',
    servedBy: EVERYWHERE,
    query: QUERIES.configs,
    headers: ['IfNoneMatch', 'MinVersion'],
    answers: { 200: { means: 'A page of the listing.', content: json(ListAnswer) }, 304: UNCHANGED },
    errors: ['cursor-expired', 'not-acceptable', ...VALUE_ERRORS],
  },
  {
    id: 'postChanges',
    tag: 'Configuration',
    method: 'post',
    path: '/v1/changes',
    summary: 'Publish an atomic change set: one version, all or nothing',
    description: `A key occurs once. \`ifVersion: 0\` = the key must not exist. ${CHANGE_SET_BOUNDS} ${WRITABLE}`,
    servedBy: EVERYWHERE,
    query: QUERIES.none,
    headers: ['IdempotencyKey', 'Comment', 'Author'],
    body: ChangeSetRequest,
    answers: { 200: { means: 'Committed.', content: json(ChangeSetAnswer) } },
    errors: ['key-not-found', 'duplicate-key', 'invalid-field', ...VALUE_WRITE_ERRORS],
  },
  {
    id: 'getChanges',
    tag: 'Configuration',
    method: 'get',
    path: '/v1/changes',
    summary: 'The change log after a version',
    servedBy: EVERYWHERE,
    query: QUERIES.changes,
    headers: ['MinVersion'],
    answers: { 200: { means: 'Changes in order.', content: json(ChangesAnswer) } },
    errors: ['invalid-key', 'not-acceptable', 'version-compacted', ...READS_STORAGE],
  },
  ...keyRoutes({
    id: 'getHistory',
    tag: 'Configuration',
    method: 'get',
    path: '/v1/namespaces/{ns}/history',
    summary: 'Every version of a key, newest first',
    servedBy: EVERYWHERE,
    query: QUERIES.history,
    headers: ['MinVersion'],
    answers: { 200: { means: 'A page of the history.', content: json(HistoryAnswer) } },
    errors: ['invalid-key', 'key-not-found', 'not-acceptable', ...READS_STORAGE],
  }),
  ...keyRoutes({
    id: 'getDiff',
    tag: 'Configuration',
    method: 'get',
    path: '/v1/namespaces/{ns}/diff',
    summary: 'Unified difference of two versions of a key',
    servedBy: EVERYWHERE,
    query: QUERIES.diff,
    headers: ['MinVersion'],
    answers: { 200: { means: 'The difference.', content: { 'text/plain': null } } },
    errors: [
      'invalid-key',
      'key-not-found',
      'version-not-found',
      'version-compacted',
      'diff-too-large',
      ...READS_STORAGE,
    ],
  }),
  ...keyRoutes({
    id: 'postRollback',
    tag: 'Configuration',
    method: 'post',
    path: '/v1/namespaces/{ns}/rollback',
    summary: 'Publish an old value of a key again',
    description: WRITABLE,
    servedBy: EVERYWHERE,
    query: QUERIES.byKey,
    headers: WRITE_HEADERS,
    body: RollbackRequest,
    answers: { 200: { means: 'A new version of the key.', content: json(PutAnswer), etag: true } },
    errors: [
      'version-not-found',
      'version-compacted',
      'invalid-field',
      'unsupported-content-type',
      'value-too-large',
      ...WRITE_ERRORS,
    ],
  }),
  {
    id: 'getNamespaces',
    tag: 'Configuration',
    method: 'get',
    path: '/v1/namespaces',
    summary: 'Namespaces and their numbers of keys',
    description:
      'In the order of their names. Each page shows the version that it names: a namespace that comes or goes between two ' +
      'pages is in them or not, all others are there once.',
    servedBy: EVERYWHERE,
    query: QUERIES.namespaces,
    headers: ['MinVersion'],
    answers: { 200: { means: 'Those that have keys.', content: json(NamespacesAnswer) } },
    errors: ['not-acceptable', ...WAITS, 'no-available-node'],
  },
  {
    id: 'watchNamespace',
    tag: 'Watch',
    method: 'get',
    path: '/v1/namespaces/{ns}/watch',
    summary: 'Watch a namespace, or the keys below a prefix',
    description: WATCHED,
    servedBy: EVERYWHERE,
    query: QUERIES.watch,
    headers: ['LastEventId'],
    answers: { 200: EVENTS(LongPollAnswer) },
    errors: WATCH_ERRORS,
  },
  {
    id: 'watch',
    tag: 'Watch',
    method: 'get',
    path: '/v1/watch',
    summary: 'Several watches in one stream',
    description: WATCHED,
    servedBy: EVERYWHERE,
    query: QUERIES.watches,
    headers: ['LastEventId'],
    answers: { 200: EVENTS(LongPollAnswer) },
    errors: WATCH_ERRORS,
  },
  {
    id: 'getCluster',
    tag: 'Cluster',
    method: 'get',
    path: '/v1/cluster',
    summary: 'The cluster, its leader and its nodes',
    servedBy: GATEWAY,
    query: QUERIES.none,
    answers: { 200: { means: 'As this gateway knows it.', content: json(ClusterAnswer) } },
    errors: [],
  },
  {
    id: 'getNode',
    tag: 'Cluster',
    method: 'get',
    path: '/v1/nodes/{id}',
    summary: 'One node with its recent transitions, what keeps it out of the rotation, and its recoveries',
    servedBy: GATEWAY,
    query: QUERIES.none,
    answers: { 200: { means: 'The node.', content: json(NodeDetailAnswer) } },
    errors: ['node-not-found'],
  },
  {
    id: 'getElections',
    tag: 'Cluster',
    method: 'get',
    path: '/v1/cluster/elections',
    summary: 'Past elections with reason, evidence and timings',
    servedBy: GATEWAY,
    query: QUERIES.elections,
    answers: { 200: { means: 'Newest first.', content: json(ElectionsAnswer) } },
    errors: ['no-available-node'],
  },
  {
    id: 'postHandover',
    tag: 'Cluster',
    method: 'post',
    path: '/v1/cluster/handover',
    summary: 'Planned change of leader: no write fails',
    servedBy: GATEWAY,
    query: QUERIES.none,
    body: HandoverRequest,
    answers: { 200: { means: 'Another node leads.', content: json(HandoverAnswer) } },
    errors: ['node-not-found', 'invalid-field', 'unsupported-content-type', 'no-leader', 'no-available-node'],
  },
  operatorRoute('postDrain', 'drain', {
    summary: 'Take a node out of the rotation; a leader hands over first',
    description: 'Refused with 412 for the last voter that may lead. Done once: a repeat changes nothing.',
    errors: ['precondition-failed', 'no-leader', 'cluster-busy'],
  }),
  operatorRoute('postUndrain', 'undrain', { summary: 'Put a drained node back into the rotation' }),
  operatorRoute('postRestart', 'restart', {
    summary: 'Restart a node: by itself if it answers, else through the recovery driver',
    description: 'Answers when the restart is under way. Its steps are those of the node’s `recoveries`.',
    answer: { means: 'It is restarting.', content: json(RestartAnswer) },
    errors: ['precondition-failed', 'cluster-busy'],
  }),
  operatorRoute('postRelease', 'release', { summary: 'End the quarantine of a node' }),
  {
    id: 'getRecoveries',
    tag: 'Cluster',
    method: 'get',
    path: '/v1/cluster/recoveries',
    summary: 'Steps of recoveries: failures, restarts, quarantines',
    servedBy: GATEWAY,
    query: QUERIES.recoveries,
    answers: { 200: { means: 'Newest first.', content: json(RecoveriesAnswer) } },
    errors: ['no-available-node', 'storage-unavailable'],
  },
  {
    id: 'getSync',
    tag: 'Cluster',
    method: 'get',
    path: '/v1/sync',
    summary: 'How far behind the nodes are, and how they are brought up to date',
    servedBy: GATEWAY,
    query: QUERIES.none,
    answers: { 200: { means: 'What the sync service knows.', content: json(SyncAnswer) } },
    errors: ['no-available-node', 'storage-unavailable'],
  },
  {
    id: 'getConsistency',
    tag: 'Cluster',
    method: 'get',
    path: '/v1/consistency',
    summary: 'Whether all nodes hold the same: the last checks, open differences, repairs',
    servedBy: GATEWAY,
    query: QUERIES.none,
    answers: { 200: { means: 'What the last checks found.', content: json(ConsistencyAnswer) } },
    errors: ['no-available-node', 'storage-unavailable'],
  },
  {
    id: 'postConsistencyCheck',
    tag: 'Cluster',
    method: 'post',
    path: '/v1/consistency/check',
    summary: 'Compare all nodes now, at one version',
    description: 'Nothing is changed unless `repair` says so.',
    servedBy: GATEWAY,
    query: QUERIES.none,
    body: ConsistencyCheckRequest,
    answers: { 200: { means: 'What was found, and done.', content: json(ConsistencyCheckAnswer) } },
    errors: [
      'invalid-field',
      'unsupported-content-type',
      'cluster-busy',
      'storage-unavailable',
      'no-available-node',
      'outcome-unknown',
    ],
  },
  {
    id: 'getEvents',
    tag: 'Cluster',
    method: 'get',
    path: '/v1/events',
    summary: 'The facts of the bus for dashboards',
    servedBy: GATEWAY,
    query: QUERIES.events,
    headers: ['LastEventId'],
    answers: { 200: { means: 'Server-sent events.', content: { 'text/event-stream': null } } },
    errors: ['cluster-busy', 'shutting-down'],
  },
];

/** `POST /v1/nodes/{id}/<verb>`, with a reason if there is one. */
function operatorRoute(
  id: string,
  verb: string,
  route: { summary: string; description?: string; answer?: RouteResponse; errors?: readonly ErrorCode[] },
): Route {
  const { summary, description, errors = [] } = route;
  const answer = route.answer ?? {
    means: 'What keeps the node out now, if anything.',
    content: json(HoldAnswer),
  };
  return {
    ...{ id, summary, tag: 'Cluster', method: 'post', path: `/v1/nodes/{id}/${verb}` },
    ...(description === undefined ? {} : { description }),
    ...{ servedBy: GATEWAY, query: QUERIES.none, body: OperatorRequest, answers: { 200: answer } },
    errors: [
      ...errors,
      'node-not-found',
      'invalid-field',
      'unsupported-content-type',
      'storage-unavailable',
      'no-available-node',
      'outcome-unknown',
    ],
  };
}

/** The same request with the key in the path and, for hostile proxies, in the query. */
function keyRoutes(route: Route): Route[] {
  return [
    { ...route, path: `${route.path}/{key}`, query: route.query.omit({ key: true }) },
    {
      ...route,
      id: `${route.id}ByQuery`,
      summary: `${route.summary}, the key in the query`,
      query: route.query.required({ key: true }),
    },
  ];
}

/** The path in the router's syntax. */
export function routerPath({ path }: Pick<Route, 'path'>): string {
  return path.replaceAll('{key}', '*').replaceAll(/\{(\w+)\}/g, ':$1');
}
