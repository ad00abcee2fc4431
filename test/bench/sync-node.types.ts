/** What the bench tells a node to do. `read`: the state from the database. */
export type NodeOrder = { do: 'pull'; to: number } | { do: 'load'; from: string } | { do: 'read' };

/** What a node says to the bench. */
export type NodeWord =
  | { type: 'stands'; address: string; version: number; chain: string }
  | { type: 'done'; ms: number; version: number; chain: string }
  | { type: 'failed'; why: string };
