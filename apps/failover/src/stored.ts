import { Problem } from '#libs/contracts';
import { crashOnDefect } from '#libs/kernel';

/** Rows that only the database has. Rejects with 503 `storage-unavailable`. */
export async function stored<T>(rows: Promise<T>): Promise<T> {
  try {
    return await rows;
  } catch (error) {
    crashOnDefect(error);
    throw new Problem('storage-unavailable', 'what is past is in the database', {}, { cause: error });
  }
}
