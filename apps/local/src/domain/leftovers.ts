/** A process that was started here, with what tells it from a later one of the same pid. */
export interface ProcessRecord {
  name: string;
  pid: number;
  identity: string;
}

/**
 * Those of the recorded processes that still run. A pid whose identity differs was given to a stranger since then,
 * and is never touched.
 */
export function leftoversOf(
  records: readonly ProcessRecord[],
  identityOf: (pid: number) => string | undefined,
): ProcessRecord[] {
  return records.filter((record) => identityOf(record.pid) === record.identity);
}
