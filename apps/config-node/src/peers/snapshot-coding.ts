import { pipeline, Readable, type Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { SnapshotDamaged } from '#libs/replica';

/** How a snapshot may be compressed on its way, the best first. Who offers neither gets it as it is. */
export const SNAPSHOT_CODINGS = ['zstd', 'gzip'] as const;
export type SnapshotCoding = (typeof SNAPSHOT_CODINGS)[number];

/** Fast rather than small: nodes are near to each other. */
const LEVEL = 1;

/** By an Accept-Encoding header; a coding with `q=0` is refused. */
export function chooseCoding(accepted: string | string[] | undefined): SnapshotCoding | undefined {
  const offers = new Set(
    String(accepted ?? '')
      .split(',')
      .map((offer) =>
        offer
          .trim()
          .toLowerCase()
          .split(/\s*;\s*/),
      )
      .filter(([, weight]) => !/^q=0(\.0*)?$/.test(weight ?? ''))
      .map(([coding]) => coding),
  );
  return SNAPSHOT_CODINGS.find((coding) => offers.has(coding));
}

/** Ends with whatever error its source ends with. */
export function compressed(bytes: Readable, coding: SnapshotCoding): Readable {
  const compressor =
    coding === 'zstd'
      ? zlib.createZstdCompress({ params: { [zlib.constants.ZSTD_c_compressionLevel]: LEVEL } })
      : zlib.createGzip({ level: LEVEL });
  return joined(bytes, compressor);
}

/** The bytes as they were before; at most `maxBytes`, then SnapshotDamaged, so that a small answer cannot fill memory. */
export async function* decompressed(
  bytes: Readable,
  coding: string | undefined,
  maxBytes: number,
): AsyncGenerator<Buffer> {
  let left = maxBytes;
  try {
    for await (const chunk of plain(bytes, coding)) {
      left -= chunk.length;
      if (left < 0) throw new SnapshotDamaged(`it is larger than ${maxBytes} bytes`);
      yield chunk;
    }
  } catch (cause) {
    if (cause instanceof SnapshotDamaged || !isZlibError(cause)) throw cause;
    throw new SnapshotDamaged('it cannot be decompressed', { cause });
  }
}

function plain(bytes: Readable, coding: string | undefined): Readable {
  switch (coding) {
    case undefined:
    case 'identity':
      return bytes;
    case 'zstd':
      return joined(bytes, zlib.createZstdDecompress());
    case 'gzip':
      return joined(bytes, zlib.createGunzip());
    default:
      throw new SnapshotDamaged(`the coding ${coding} was not asked for`);
  }
}

function joined(from: Readable, through: Transform): Readable {
  // The error reaches whoever reads the end of it.
  return pipeline(from, through, () => undefined);
}

function isZlibError(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^Z_|^ZSTD_|^ERR_ZSTD|^ERR_ZLIB/.test(code);
}
