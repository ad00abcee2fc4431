import { isUtf8 } from 'node:buffer';

/**
 * Percent-encoded UTF-8 of a target or a header, which node:http hands over byte for byte, as latin1: clients that
 * send UTF-8 without encoding it mean the same. Throws a URIError.
 */
export function decodeWireText(text: string): string {
  const bytes = Buffer.from(text, 'latin1');
  if (!isUtf8(bytes)) throw new URIError('not UTF-8');
  return decodeURIComponent(bytes.toString('utf8'));
}
