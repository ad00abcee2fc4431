import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Edge } from './edge.js';

/**
 * The proxied paths as the router knows them. Most requests never come here (see Edge); those that the router had to
 * judge do, and it knows by these which methods a path has.
 */
export function registerProxiedRoutes(fastify: FastifyInstance, edge: Edge): void {
  const pass = async (request: FastifyRequest, reply: FastifyReply) => {
    reply.hijack();
    const extra: string[] = [];
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      // The node repeats the request's id itself.
      if (value !== undefined && name !== 'x-request-id') extra.push(name, String(value));
    }
    edge.proxy(request.raw, reply.raw, request.id, extra);
  };
  const routes: [path: string, methods: string[]][] = [
    ['/v1/namespaces', ['GET']],
    ['/v1/namespaces/:ns/configs', ['GET', 'PUT', 'DELETE']],
    ['/v1/namespaces/:ns/configs/*', ['GET', 'PUT', 'DELETE']],
    ['/v1/namespaces/:ns/history', ['GET']],
    ['/v1/namespaces/:ns/history/*', ['GET']],
    ['/v1/namespaces/:ns/diff', ['GET']],
    ['/v1/namespaces/:ns/diff/*', ['GET']],
    ['/v1/namespaces/:ns/rollback', ['POST']],
    ['/v1/namespaces/:ns/rollback/*', ['POST']],
    ['/v1/changes', ['GET', 'POST']],
  ];
  fastify
    .register(async (scope) => {
      // Bodies stay what they are: the node parses them, and the gateway keeps them for a further attempt.
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
      for (const [url, method] of routes) scope.route({ method, url, handler: pass });
    })
    .after((error) => {
      if (error) throw error;
    });
}
