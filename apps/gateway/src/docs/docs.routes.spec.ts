import { fastify } from 'fastify';
import { expect, it } from 'vitest';
import { registerDocsRoutes } from './docs.routes.js';

it('leads to the docs from wherever one may look for them', async () => {
  const server = fastify();
  try {
    await registerDocsRoutes(server);
    for (const url of ['/', '/docs/']) {
      const { statusCode, headers } = await server.inject({ url });
      expect([url, statusCode, headers.location]).toEqual([url, 302, '/docs']);
    }
    expect((await server.inject({ url: '/docs' })).body).toContain('<title>Holdfast API</title>');
    expect((await server.inject({ url: '/docs/package.json' })).statusCode).toBe(404);
  } finally {
    await server.close();
  }
});
