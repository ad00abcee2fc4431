import { describe, expect, it } from 'vitest';
import { ERRORS } from '../http/errors.js';
import { openApiDocument } from './document.js';
import { ROUTES, routerPath } from './routes.js';

type Json = Record<string, unknown>;
const document = openApiDocument('1.2.3') as {
  openapi: string;
  info: { version: string };
  paths: Record<string, Record<string, Json & { parameters: Json[]; responses: Json }>>;
  components: Record<string, Json>;
};

describe('the OpenAPI document', () => {
  it('describes every route once', () => {
    const described = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method} ${path}`),
    );
    expect(described.sort()).toEqual(ROUTES.map(({ method, path }) => `${method} ${path}`).sort());
    expect(new Set(ROUTES.map(({ id }) => id)).size).toBe(ROUTES.length);
  });

  it('is OpenAPI 3.1 of this version, in plain JSON whose references all lead somewhere', () => {
    expect(document).toMatchObject({ openapi: '3.1.0', info: { version: '1.2.3' } });
    const text = JSON.stringify(document);
    expect(JSON.parse(text)).toEqual(document);
    for (const [, section = '', name = ''] of text.matchAll(/"\$ref":"#\/components\/(\w+)\/([\w-]+)"/g)) {
      expect(document.components[section]).toHaveProperty(name);
    }
  });

  it('names every parameter of a path', () => {
    for (const [path, item] of Object.entries(document.paths)) {
      for (const { parameters } of Object.values(item)) {
        const named = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name);
        expect(named).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
      }
    }
  });

  it('shows numbers in queries as numbers with their bounds', () => {
    const parameters = document.paths['/v1/namespaces/{ns}/configs']?.get?.parameters ?? [];
    expect(parameters).toContainEqual(
      expect.objectContaining({
        name: 'limit',
        in: 'query',
        required: false,
        schema: expect.objectContaining({ type: 'integer', minimum: 1, maximum: 1_000 }),
      }),
    );
  });

  it('tells how large a change set may be, and what always fits', () => {
    const post = document.paths['/v1/changes']?.post;
    expect(post?.description).toContain('1000 operations, values of 4 MiB and a body of 8 MiB: as base64');
  });

  it('tells of every error code that there is', () => {
    const text = JSON.stringify(document);
    const reserved = ['unauthenticated', 'not-found'];
    for (const code of Object.keys(ERRORS)) {
      if (!reserved.includes(code)) expect(text).toContain(`\`${code}\``);
    }
  });
});

describe('a path for the router', () => {
  it('has the key as the rest of the path', () => {
    expect(routerPath({ path: '/v1/namespaces/{ns}/configs/{key}' })).toBe('/v1/namespaces/:ns/configs/*');
    expect(routerPath({ path: '/v1/nodes/{id}' })).toBe('/v1/nodes/:id');
  });
});
