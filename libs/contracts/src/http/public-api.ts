import { z } from 'zod';
import { LIMITS } from '../limits.js';

/** `POST /v1/changes`. Namespace, key and value rules are checked after the shape (see identifiers.ts). */
export const ChangeSetRequest = z.strictObject({
  comment: z.string().optional(),
  operations: z
    .array(
      z.strictObject({
        op: z.enum(['put', 'delete']),
        namespace: z.string(),
        key: z.string(),
        value: z.string().optional(),
        encoding: z.enum(['base64']).optional(),
        contentType: z.string().optional(),
        ifVersion: z.number().int().nonnegative().optional(),
      }),
    )
    .min(1)
    .max(LIMITS.changeSetOperations),
});
export type ChangeSetRequest = z.infer<typeof ChangeSetRequest>;

export const RollbackRequest = z.strictObject({
  toVersion: z.number().int().positive(),
  comment: z.string().optional(),
});

/** Answer to a put. */
export interface PutResult {
  namespace: string;
  key: string;
  version: number;
  term: number;
  checksum: string;
  createdAt: string;
}

/** Answer to a delete. */
export interface DeleteResult {
  namespace: string;
  key: string;
  version: number;
  term: number;
  createdAt: string;
}

/** Answer to a change set. */
export interface ChangeSetResult {
  version: number;
  term: number;
  createdAt: string;
  results: { namespace: string; key: string; op: 'put' | 'delete'; version: number }[];
}
