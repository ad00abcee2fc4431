import { isUtf8 } from 'node:buffer';
import { checkJson } from './formats/json-check.ts';
import { checkProperties } from './formats/properties-check.ts';
import { checkToml } from './formats/toml-check.ts';
import { faultAt, type ValueFault } from './formats/value-fault.ts';
import { checkYaml } from './formats/yaml-check.ts';

const CHECKS: Readonly<Record<string, (text: string) => ValueFault | undefined>> = {
  'application/json': checkJson,
  'application/yaml': checkYaml,
  'application/toml': checkToml,
  'text/x-java-properties': checkProperties,
};

/** Why the bytes are not a value of their type; undefined when they are. Types without a form are never at fault. */
export function checkValue(contentType: string, bytes: Uint8Array): ValueFault | undefined {
  const check = Object.hasOwn(CHECKS, contentType) ? CHECKS[contentType] : undefined;
  if (check === undefined) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString('utf8');
  const fault = isUtf8(buffer) ? check(text) : faultAt(text, badByte(buffer, text), 'not UTF-8');
  if (fault === undefined) return undefined;
  const encoding = otherEncoding(buffer);
  return encoding === undefined ? fault : faultAt(text, 0, `the text is ${encoding}: it has to be UTF-8`);
}

/** Another encoding than UTF-8 that the first bytes give away. U+0000 stands in no text of these types. */
function otherEncoding(buffer: Buffer): string | undefined {
  const [first, second, third, fourth] = buffer;
  if (first === undefined || second === undefined) return undefined;
  if (first === 0xff && second === 0xfe) return third === 0 && fourth === 0 ? 'UTF-32LE' : 'UTF-16LE';
  if (first === 0xfe && second === 0xff) return 'UTF-16BE';
  if (first === 0 && second === 0) return third === 0 || third === 0xfe ? 'UTF-32BE' : undefined;
  if (first === 0) return 'UTF-16BE';
  if (second !== 0) return undefined;
  return third === 0 && fourth === 0 ? 'UTF-32LE' : 'UTF-16LE';
}

/** Where decoding put a replacement character that the bytes do not contain. */
function badByte(buffer: Buffer, text: string): number {
  let at = text.indexOf('\ufffd');
  while (at >= 0) {
    const byte = Buffer.byteLength(text.slice(0, at));
    if (buffer.readUIntBE(Math.min(byte, buffer.length - 1), 1) !== 0xef) return at;
    if (buffer[byte + 1] !== 0xbf || buffer[byte + 2] !== 0xbd) return at;
    at = text.indexOf('\ufffd', at + 1);
  }
  return 0;
}
