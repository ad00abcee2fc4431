import { z } from 'zod';
import { CONTENT_TYPES } from '../http/content-type.js';
import { ERRORS, type ErrorCode, errorKind } from '../http/errors.js';
import { PROBLEM_CONTENT_TYPE } from '../http/problem.js';
import { LIMITS } from '../limits.js';
import { ProblemAnswer } from './responses.js';
import { type RequestHeader, ROUTES, type Route, type RouteResponse } from './routes.js';

type OpenApiObject = Record<string, unknown>;

const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): OpenApiObject => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
};

const HEADERS: Readonly<Record<RequestHeader, { name: string; description: string; pattern?: string }>> = {
  IfMatch: {
    name: 'If-Match',
    description: '`"<version>"`, a list of them, or `*` (the key must exist); else 412.',
  },
  IfNoneMatch: {
    name: 'If-None-Match',
    description:
      'Reads: tags that the client has (weakly compared, lists, `*`), then 304. Writes: only `*` (the key must not exist).',
  },
  IdempotencyKey: {
    name: 'Idempotency-Key',
    description: `A repeat gets the first answer, not a second change. 1 to ${LIMITS.idempotencyKeyBytes} printable ASCII characters.`,
  },
  Comment: {
    name: 'Holdfast-Comment',
    description: `Percent-encoded UTF-8, at most ${LIMITS.metadataBytes} bytes.`,
  },
  Author: {
    name: 'Holdfast-Author',
    description: `Percent-encoded UTF-8, at most ${LIMITS.metadataBytes} bytes.`,
  },
  MinVersion: {
    name: 'Holdfast-Min-Version',
    description: 'The highest Holdfast-Version that the client has seen: it never goes back in time.',
    pattern: '^\\d+$',
  },
  LastEventId: {
    name: 'Last-Event-ID',
    description: 'Where a stream that broke had got to; goes before `from`.',
    pattern: '^\\d+$',
  },
};

const READ_HEADERS: OpenApiObject = {
  'Holdfast-Node': { description: 'The node that answered.', schema: { type: 'string' } },
  'Holdfast-Version': { description: 'The version that it has applied.', schema: { type: 'integer' } },
  'Holdfast-Term': { description: 'The highest term that it knows.', schema: { type: 'integer' } },
  'Holdfast-Stale': {
    description: '`true` unless the node learnt within the last 3 s that it is level with the head.',
    schema: { type: 'string', enum: ['true'] },
  },
};

/** Errors that any request may get. */
const ANY_ERRORS: readonly ErrorCode[] = [
  'invalid-request',
  'forbidden',
  'method-not-allowed',
  'headers-too-large',
  'internal',
];

/** The public interface as an OpenAPI 3.1 document, made from the table that the routes are tested against. */
export function openApiDocument(version: string): OpenApiObject {
  const paths: Record<string, OpenApiObject> = {};
  for (const route of ROUTES) {
    const item = paths[route.path] ?? {};
    item[route.method] = operation(route);
    paths[route.path] = item;
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast',
      version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description:
        'A highly available, distributed configuration center. Versions order everything; a publish that was answered with an error other ' +
        'than 504 has not happened and will not. Unknown query parameters are 400, unknown fields of JSON bodies 422; clients ignore ' +
        'unknown members of answers.',
    },
    tags: [
      { name: 'Configuration', description: 'Served by gateways and by every node.' },
      { name: 'Watch', description: 'Served by gateways and by every node.' },
      { name: 'Cluster', description: 'Served by gateways.' },
    ],
    paths,
    components: {
      parameters: Object.fromEntries(
        Object.entries(HEADERS).map(([id, { name, description, pattern }]) => [
          id,
          { name, in: 'header', description, schema: { type: 'string', ...(pattern ? { pattern } : {}) } },
        ]),
      ),
      headers: READ_HEADERS,
      schemas: { Problem: schemaOf(ProblemAnswer, 'output') },
    },
    'x-holdfast-errors': ERRORS,
  };
}

function operation(route: Route): OpenApiObject {
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description ? { description: route.description } : {}),
    parameters: [
      ...pathParameters(route.path),
      ...queryParameters(route.query),
      ...(route.headers ?? []).map((id) => ({ $ref: `#/components/parameters/${id}` })),
    ],
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: bodyContent(route.body) } }),
    responses: { ...answers(route), ...problems([...ANY_ERRORS, ...route.errors]) },
  };
}

const PATH_PARAMETERS: Readonly<Record<string, OpenApiObject>> = {
  ns: {
    description: `A namespace: dot-separated segments of a-z, 0-9, _ and -, at most ${LIMITS.namespaceChars} characters.`,
    schema: { type: 'string', maxLength: LIMITS.namespaceChars },
  },
  key: {
    description: `The rest of the path, decoded once; %2F is the same as /. At most ${LIMITS.keyBytes} bytes of UTF-8.`,
    schema: { type: 'string' },
  },
  id: { description: 'The id of a node.', schema: { type: 'string' } },
};

function pathParameters(path: string): OpenApiObject[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    ...PATH_PARAMETERS[name],
  }));
}

function queryParameters(query: z.ZodObject): OpenApiObject[] {
  const { properties = {}, required = [] } = schemaOf(query, 'input') as {
    properties?: Record<string, OpenApiObject>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    ...(description ? { description } : {}),
    schema,
  }));
}

function bodyContent(body: NonNullable<Route['body']>): OpenApiObject {
  if (body !== 'value') return { 'application/json': { schema: schemaOf(body, 'input') } };
  return Object.fromEntries(CONTENT_TYPES.map((type) => [type, { schema: { type: 'string' } }]));
}

function answers(route: Route): OpenApiObject {
  return Object.fromEntries(
    Object.entries(route.answers).map(([status, answer]) => [status, response(answer, route)]),
  );
}

function response({ means, content, etag }: RouteResponse, { tag, method }: Route): OpenApiObject {
  const headers = {
    ...(tag === 'Cluster' ? {} : referredHeaders()),
    ...(etag
      ? { ETag: { description: '`"<version>"`: the key\'s last change.', schema: { type: 'string' } } }
      : {}),
  };
  const bodies = Object.entries(method === 'head' ? {} : (content ?? {})).map(([type, schema]) => [
    type,
    schema === null ? {} : { schema: schemaOf(schema, 'output') },
  ]);
  return {
    description: means,
    ...(Object.keys(headers).length > 0 ? { headers } : {}),
    ...(bodies.length > 0 ? { content: Object.fromEntries(bodies) } : {}),
  };
}

function referredHeaders(): OpenApiObject {
  return Object.fromEntries(
    Object.keys(READ_HEADERS).map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );
}

/** One response per status, naming the codes that come with it. */
function problems(codes: readonly ErrorCode[]): OpenApiObject {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set(codes)) {
    const { status } = errorKind(code);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, named]) => [
      String(status),
      {
        description: named.map((code) => `\`${code}\`: ${errorKind(code).title}.`).join(' '),
        content: { [PROBLEM_CONTENT_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  );
}
