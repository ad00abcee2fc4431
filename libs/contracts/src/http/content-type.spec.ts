import { describe, expect, it } from 'vitest';
import { contentTypeHeader, parseCharset, parseContentType } from './content-type.js';

describe('parseContentType', () => {
  it.each([
    [undefined, 'text/plain'],
    ['', 'text/plain'],
    ['application/x-www-form-urlencoded', 'text/plain'],
    ['Application/JSON; charset=utf-8', 'application/json'],
    ['text/yaml', 'application/yaml'],
    ['application/x-yaml;v=1', 'application/yaml'],
    ['application/toml', 'application/toml'],
    ['text/x-java-properties', 'text/x-java-properties'],
    ['application/octet-stream', 'application/octet-stream'],
    ['text/html', undefined],
    ['json', undefined],
    ['constructor', undefined],
    ['toString', undefined],
  ])('%s -> %s', (header, type) => expect(parseContentType(header)).toBe(type));
});

describe('report 8: charsets', () => {
  it.each([
    [undefined, undefined],
    ['text/plain', undefined],
    ['text/plain; charset=UTF-8', 'utf-8'],
    ['text/plain;charset="iso-8859-1"', 'iso-8859-1'],
    ['text/plain; format=flowed; Charset = utf-16', 'utf-16'],
    ['text/plain; charset=', undefined],
    ['text/plain; charset=""', ''],
    ['text/plain; xcharset=latin1', undefined],
  ])('of %s is %s', (header, charset) => expect(parseCharset(header)).toBe(charset));

  it.each([
    ['text/plain', true, 'text/plain; charset=utf-8'],
    ['text/x-java-properties', true, 'text/x-java-properties; charset=utf-8'],
    ['text/plain', false, 'text/plain'],
    ['application/json', true, 'application/json'],
    ['application/yaml', true, 'application/yaml'],
    ['application/toml', true, 'application/toml'],
    ['application/octet-stream', true, 'application/octet-stream'],
  ])('%s is answered with the charset if it is text in UTF-8 (%s)', (type, isUtf8, header) =>
    expect(contentTypeHeader(type, isUtf8)).toBe(header),
  );
});
