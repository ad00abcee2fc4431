/** What is used of js-yaml 4, which ships no types. */
declare module 'js-yaml-4' {
  export class Type {
    constructor(tag: string, options: { kind: 'scalar' | 'sequence' | 'mapping'; multi: boolean });
  }
  export class Schema {
    extend(types: readonly Type[]): Schema;
  }
  export class YAMLException extends Error {
    reason: string;
    /** Counted from 0. */
    mark: { line: number; column: number } | undefined;
  }
  export const FAILSAFE_SCHEMA: Schema;
  export interface LoadOptions {
    schema: Schema;
    /** true = a key that occurs twice is no error. */
    json: boolean;
    maxDepth: number;
    /** Called when the parser begins a node and when it has ended it. */
    listener: (event: 'open' | 'close', state: { readonly position: number }) => void;
  }
  export function loadAll(text: string, iterator: null, options: LoadOptions): unknown[];
}
