import { LIMITS } from './limits.js';

/** No U+0000 and no lone surrogate: what Postgres `text` and UTF-8 can both hold. */
export function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

const NAMESPACE_SEGMENT = /^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/;

/** Why a namespace is not valid, in words for its author; undefined when it is. */
export function namespaceFault(namespace: string): string | undefined {
  if (namespace.length === 0) return 'a namespace must not be empty';
  if (namespace.length > LIMITS.namespaceChars) {
    return `a namespace has at most ${LIMITS.namespaceChars} characters`;
  }
  if (!namespace.split('.').every((segment) => NAMESPACE_SEGMENT.test(segment))) {
    return "a namespace is dot-separated segments of a-z, 0-9, '_' and '-', each beginning and ending with a letter or digit";
  }
  return undefined;
}

/** `system` and everything below it belong to Holdfast itself. */
export function isReservedNamespace(namespace: string): boolean {
  return namespace === 'system' || namespace.startsWith('system.');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what the rule forbids
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** Why a key is not valid, in words for its author; undefined when it is. */
export function keyFault(key: string): string | undefined {
  if (key.length === 0) return 'a key must not be empty';
  if (!isStorableText(key)) return 'a key must be well-formed Unicode without U+0000';
  if (CONTROL.test(key)) return 'a key must not contain control characters';
  if (Buffer.byteLength(key) > LIMITS.keyBytes) return `a key has at most ${LIMITS.keyBytes} bytes of UTF-8`;
  for (const segment of key.split('/')) {
    if (segment === '') return "a key has no empty segments: '/' must stand between two of them";
    if (segment === '.' || segment === '..') return "a key has no segments '.' or '..'";
  }
  return undefined;
}
