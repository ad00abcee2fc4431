import { describe, expect, it } from 'vitest';
import { parseContentType } from './content-type.js';

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
