import { readFileSync } from 'node:fs';
import { createRequire, findPackageJSON } from 'node:module';
import { dirname } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { asyncApiDocument, openApiDocument } from '#libs/contracts';

/** Everything comes from here, nothing from elsewhere; Swagger UI sets styles on elements itself. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdfast API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

const START = `window.ui = SwaggerUIBundle({ url: '/openapi.json', dom_id: '#docs', deepLinking: true, validatorUrl: null });
`;

/** Files of swagger-ui-dist that the page needs; no others are served. */
const FILES = ['swagger-ui-bundle.js', 'swagger-ui.css', 'favicon-32x32.png'];

/** `/openapi.json`, and `/docs`, which shows it; `/asyncapi.json` for what is on the bus; `/` and `/docs/` lead to the docs. */
export async function registerDocsRoutes(fastify: FastifyInstance): Promise<void> {
  const documents = { '/openapi.json': openApiDocument, '/asyncapi.json': asyncApiDocument };
  const root = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  await fastify.register(fastifyStatic, { root, serve: false, cacheControl: true, maxAge: 3_600_000 });

  for (const [path, make] of Object.entries(documents)) {
    const json = JSON.stringify(make(ownVersion()));
    fastify.get(path, async (_request, reply) =>
      reply.header('cache-control', 'no-cache').type('application/json; charset=utf-8').send(json),
    );
  }
  for (const path of ['/', '/docs/']) {
    fastify.get(path, async (_request, reply) => reply.redirect('/docs', 302));
  }
  fastify.get('/docs', async (_request, reply) =>
    reply
      .headers({
        'content-security-policy': CONTENT_SECURITY_POLICY,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-cache',
      })
      .type('text/html; charset=utf-8')
      .send(PAGE),
  );
  fastify.get('/docs/start.js', async (_request, reply) =>
    reply.header('cache-control', 'no-cache').type('text/javascript; charset=utf-8').send(START),
  );
  for (const file of FILES) fastify.get(`/docs/${file}`, async (_request, reply) => reply.sendFile(file));
}

function ownVersion(): string {
  const path = findPackageJSON(import.meta.url);
  const parsed: unknown = path === undefined ? undefined : JSON.parse(readFileSync(path, 'utf8'));
  const version =
    typeof parsed === 'object' && parsed !== null && 'version' in parsed ? parsed.version : undefined;
  return typeof version === 'string' ? version : '0.0.0';
}
