/** Why a local cluster cannot start, in words for the person in front of it. Its message is all that is printed. */
export class StartRefused extends Error {
  override readonly name = 'StartRefused';
}

const MEANINGS: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  ENOTDIR: 'a part of the path is not a folder',
  EEXIST: 'it is not a folder',
};

/** Runs `work` on the data folder; what the file system refuses is told by its meaning. */
export async function onFolder<T>(folder: string, work: () => Promise<T> | T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const meaning = code === undefined ? undefined : MEANINGS[code];
    if (meaning === undefined) throw error;
    throw new StartRefused(
      `cannot use the data folder ${folder}: ${meaning} (${message}).\nChoose another: HOLDFAST_HOME=/path/to/folder npm start`,
      { cause: error },
    );
  }
}
