import { Problem } from '#libs/contracts';
import { OutcomeUnknown, StatementRefused, StorageUnavailable } from '#libs/postgres';

/** A read that needs the database: whatever keeps that from answering is 503, since a read leaves no doubt behind. */
export async function fromStorage<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (cause) {
    const isStorage =
      cause instanceof StorageUnavailable ||
      cause instanceof OutcomeUnknown ||
      cause instanceof StatementRefused;
    if (!isStorage) throw cause;
    throw new Problem(
      'storage-unavailable',
      'this needs the database, which cannot be read now',
      {},
      { cause },
    );
  }
}
