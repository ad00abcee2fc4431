import { isUtf8 } from 'node:buffer';

/** A value in JSON: text as it is, anything else in base64. */
export interface JsonValue {
  value: string;
  encoding?: 'base64';
}

/**
 * Bytes that a byte of text takes beyond itself inside of a JSON string. `JSON.stringify` writes a control character
 * as six bytes, five of them more than the value has.
 */
const EXTRA_BYTES = new Uint8Array(256);
EXTRA_BYTES.fill(5, 0, 0x20);
for (const escapedByLetter of ['\b', '\t', '\n', '\f', '\r', '"', '\\']) {
  EXTRA_BYTES[escapedByLetter.charCodeAt(0)] = 1;
}

/**
 * The most bytes that a value of one byte takes in JSON. What is printed or edited as text stays text: its quotes,
 * backslashes and line ends at most double it. Bytes that would take more (control characters, for the most part)
 * are written in base64, although they happen to be valid UTF-8.
 */
export const JSON_VALUE_FACTOR = 2;

/** A value as it stands in JSON, in at most `JSON_VALUE_FACTOR` times its bytes (and 4 bytes of base64's last group). */
export function valueToJson(value: Buffer): JsonValue {
  if (isUtf8(value) && extraBytesWithin(value, value.length)) return { value: value.toString('utf8') };
  return { value: value.toString('base64'), encoding: 'base64' };
}

export function valueFromJson(json: { value: string; encoding?: 'base64' | undefined }): Buffer {
  return Buffer.from(json.value, json.encoding ?? 'utf8');
}

function extraBytesWithin(value: Buffer, most: number): boolean {
  let extra = 0;
  for (let at = 0; at < value.length; at++) {
    extra += EXTRA_BYTES[value[at] as number] as number;
    if (extra > most) return false;
  }
  return true;
}
