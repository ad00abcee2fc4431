import { describe, expect, it } from 'vitest';
import { isReservedNamespace, isStorableText, keyFault, namespaceFault } from './identifiers.js';

describe('namespaceFault', () => {
  it.each(['a', 'shop', 'shop.eu-west', 'a_b', '0', 'a.b.c', 'x'.repeat(63)])('accepts %s', (namespace) =>
    expect(namespaceFault(namespace)).toBeUndefined(),
  );

  it.each([
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    'A',
    '-a',
    'a-',
    '_a',
    'a_',
    'a b',
    'ä',
    'a/b',
    'a\0',
    'x'.repeat(64),
  ])('refuses %j', (namespace) => expect(namespaceFault(namespace)).toBeTypeOf('string'));
});

describe('keyFault', () => {
  it.each([
    'a',
    'a/b/c',
    'a b',
    'ключ',
    '\u{1F600}',
    'a.b',
    '...',
    '.hidden/..x',
    '%2F',
    'a?b#c',
    'x'.repeat(512),
    'é'.repeat(256),
  ])('accepts %j', (key) => expect(keyFault(key)).toBeUndefined());

  it.each([
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    'a/./b',
    'a/../b',
    'a\0b',
    'a\nb',
    'a\u007f',
    'a\u0085',
    '\ud800',
    'x'.repeat(513),
    'é'.repeat(257),
  ])('refuses %j', (key) => expect(keyFault(key)).toBeTypeOf('string'));
});

describe('isReservedNamespace', () => {
  it.each([
    ['system', true],
    ['system.balancer', true],
    ['systems', false],
    ['my.system', false],
  ])('%s -> %s', (namespace, reserved) => expect(isReservedNamespace(namespace)).toBe(reserved));
});

describe('isStorableText', () => {
  it.each([
    ['plain', true],
    ['', true],
    ['\u{1F600}', true],
    ['a\0b', false],
    ['\ud800', false],
    ['x\udc00y', false],
  ])('%j -> %s', (text, expected) => expect(isStorableText(text)).toBe(expected));
});
