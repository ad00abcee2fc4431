import type { FastifyInstance } from 'fastify';
import type { Problem } from '#libs/contracts';
import type { Answer } from '../world/network.js';

type Handler = (request: { body: unknown; query: unknown }, reply: unknown) => unknown;

/**
 * Collects the routes that a node registers, to be called without HTTP: bodies and answers pass as they are. Doors
 * that stream have stand-ins of their own.
 */
export class Doors {
  private readonly routes = new Map<string, Handler>();

  /** What the registration of routes uses of Fastify. */
  asFastify(): FastifyInstance {
    const add = (path: string, ...rest: unknown[]) => this.routes.set(path, rest.at(-1) as Handler);
    const collector = {
      register: (plugin: (doors: unknown) => Promise<void>) => plugin(collector),
      removeAllContentTypeParsers: () => undefined,
      addContentTypeParser: () => undefined,
      addHook: () => undefined,
      get: add,
      post: add,
    };
    return collector as unknown as FastifyInstance;
  }

  async call(path: string, body: unknown): Promise<Answer> {
    const handler = this.routes.get(path);
    if (handler === undefined) return { status: 404, headers: {}, body: new Error(`no door ${path}`) };
    try {
      const answer = await handler({ body: JSON.stringify(body), query: body }, undefined);
      return { status: 200, headers: {}, body: answer };
    } catch (error) {
      return { status: statusOf(error), headers: {}, body: error };
    }
  }
}

export function statusOf(error: unknown): number {
  return isProblem(error) ? error.status : 500;
}

export function isProblem(error: unknown): error is Problem {
  return error instanceof Error && error.name === 'Problem';
}
