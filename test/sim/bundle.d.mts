/** A change of one place of a source, which must be there exactly once. */
export interface Edit {
  file: string;
  find: string;
  put: string;
}

export function bundleSimulation(out: string, edits?: readonly Edit[]): Promise<void>;
