import { TextDecoder } from 'node:util';
import { Problem, parseCharset } from '#libs/contracts';

/** UTF-8, and ASCII which is a part of it: nothing to do. */
const UTF8 = new Set(['', 'utf-8', 'utf8', 'us-ascii', 'ascii']);

/** Throws 415 for a charset that is not known. */
export function demandCharset(contentType: string, header: string | undefined): void {
  decoderOf(contentType, header, []);
}

/**
 * The bytes of a value as they are stored: what a client declares to be in another charset becomes UTF-8.
 * @throws Problem 415 for a charset that is not known, 422 when the bytes are not of the charset that the header names
 */
export function inUtf8(bytes: Buffer, contentType: string, header: string | undefined): Buffer {
  const decoder = decoderOf(contentType, header, bytes);
  if (decoder === undefined) return bytes;
  try {
    return Buffer.from(decoder.decode(bytes), 'utf8');
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new Problem('invalid-value', `the value is not ${decoder.encoding}, as its Content-Type says`, {
      charset: decoder.encoding,
    });
  }
}

function decoderOf(
  contentType: string,
  header: string | undefined,
  [first, second]: Iterable<number>,
): TextDecoder | undefined {
  const charset = parseCharset(header);
  if (charset === undefined || UTF8.has(charset) || contentType === 'application/octet-stream')
    return undefined;
  // Only `utf-16` without a byte order leaves it to the byte order mark.
  const label = charset === 'utf-16' && first === 0xfe && second === 0xff ? 'utf-16be' : charset;
  try {
    return new TextDecoder(label, { fatal: true });
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new Problem(
      'unsupported-content-type',
      `the charset '${charset.slice(0, 100)}' is not known: send the value in UTF-8`,
      { charset: charset.slice(0, 100) },
      { cause },
    );
  }
}
