import type { ZodType } from 'zod';
import { askDoor } from './http.js';

/** How failover asks nodes, over the simulated network. Both ends are ours: answers are not parsed. */
export class HttpCalls {
  get<T>(url: string, _schema: ZodType<T>, timeoutMs: number): Promise<T> {
    return askDoor(url, undefined, timeoutMs);
  }

  post<T>(url: string, body: unknown, _schema: ZodType<T>, timeoutMs: number): Promise<T> {
    return askDoor(url, body, timeoutMs);
  }

  async close(): Promise<void> {}
}
