import { createReadStream } from 'node:fs';
import { copyFile, mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import {
  encodeSnapshot,
  type PinnedState,
  SnapshotDamaged,
  SnapshotDecoder,
  type SnapshotHeader,
  type StateBuilder,
} from '#libs/replica';

const CHUNK_BYTES = 1024 * 1024;
/** Copies that are set aside and kept; of more the oldest goes, so that no loop of divergences fills the disk. */
const MAX_SET_ASIDE = 3;
const SET_ASIDE = /^snapshot\.before-\d+$/;
/** Writing faster than this would be felt by Postgres on the same disk. */
const WRITE_BYTES_PER_S = 32 * 1024 * 1024;

/** The node's state on its own disk: one file, replaced as a whole. */
export class SnapshotFile {
  private readonly path: string;

  constructor(
    private readonly dataDir: string,
    private readonly logger: Logger,
  ) {
    this.path = join(dataDir, 'snapshot');
  }

  /** Undefined when there is none. A damaged one is set aside, and counts as none. */
  async load(): Promise<{ header: SnapshotHeader; state: StateBuilder } | undefined> {
    const decoder = new SnapshotDecoder();
    try {
      for await (const chunk of createReadStream(this.path, { highWaterMark: CHUNK_BYTES }))
        decoder.push(chunk);
      return decoder.finish();
    } catch (error) {
      if (isMissing(error)) return undefined;
      if (!(error instanceof SnapshotDamaged)) throw error;
      const kept = `${this.path}.damaged`;
      await rename(this.path, kept);
      this.logger.error(
        { reason: error.message, kept },
        'the snapshot on disk is damaged: it was moved aside',
      );
      return undefined;
    }
  }

  /** Atomic: a crash leaves the old one or the new one. Returns the bytes written. */
  async save(state: PinnedState, options: { paced: boolean }): Promise<number> {
    await mkdir(this.dataDir, { recursive: true, mode: 0o700 });
    const temporary = `${this.path}.tmp`;
    try {
      return await this.replace(temporary, state, options);
    } catch (error) {
      // Half a snapshot would keep the room that others need on a full disk.
      await rm(temporary, { force: true });
      throw error;
    }
  }

  private async replace(temporary: string, state: PinnedState, options: { paced: boolean }): Promise<number> {
    const file = await open(temporary, 'w', 0o600);
    let bytes = 0;
    try {
      for (const chunk of encodeSnapshot(state)) {
        await file.write(chunk);
        bytes += chunk.length;
        if (options.paced) await sleep((chunk.length / WRITE_BYTES_PER_S) * 1_000);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.path);
    await syncFolder(this.dataDir);
    return bytes;
  }

  /** Keeps a copy that no later snapshot replaces; the first one kept stays. */
  async setAside(why: string): Promise<string | undefined> {
    const kept = `${this.path}.${why}`;
    try {
      if (await exists(kept)) return kept;
      await copyFile(this.path, kept);
      await this.prune();
      return kept;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** The copies of `setAside` that are older than the newest three. */
  private async prune(): Promise<void> {
    const names = (await readdir(this.dataDir)).filter((name) => SET_ASIDE.test(name));
    const copies = await Promise.all(
      names.map(async (name) => {
        const path = join(this.dataDir, name);
        return { path, atMs: (await stat(path)).mtimeMs };
      }),
    );
    copies.sort((a, b) => b.atMs - a.atMs);
    for (const { path } of copies.slice(MAX_SET_ASIDE)) {
      await unlink(path);
      this.logger.warn({ path, kept: MAX_SET_ASIDE }, 'removed an old copy of a damaged snapshot');
    }
  }

  async remove(): Promise<void> {
    try {
      await unlink(this.path);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** The new name itself must survive a power cut. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
