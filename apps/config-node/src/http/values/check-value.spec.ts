import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkValue } from './check-value.ts';
import { checkJson } from './json-check.ts';

const check = (contentType: string, text: string | Buffer) =>
  checkValue(contentType, Buffer.from(text as string));

describe('JSON', () => {
  const parses = (text: string): boolean => {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  };

  it('is accepted exactly when JSON.parse accepts it', () => {
    const fragment = fc.constantFrom(
      ...'{}[],:"'.split(''),
      ...[
        ' ',
        '\n',
        '1',
        '-',
        '0',
        '.5',
        'e',
        'E+',
        'true',
        'null',
        'nul',
        '"a"',
        '\\',
        '\\u00',
        '\\n',
        '"\\u0041"',
        'é',
      ],
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json({ maxDepth: 4 }),
          fc.array(fragment, { maxLength: 12 }).map((parts) => parts.join('')),
          fc
            .tuple(fc.json({ maxDepth: 3 }), fc.nat(), fragment)
            .map(
              ([json, at, part]) =>
                json.slice(0, at % (json.length + 1)) + part + json.slice(at % (json.length + 1)),
            ),
        ),
        (text) => {
          expect(checkJson(text) === undefined).toBe(parses(text));
        },
      ),
      { numRuns: 10_000 },
    );
  }, 60_000);

  it.each([
    ['{"a": 1,\n "b": }', 2, 7],
    ['', 1, 1],
    ['{"a": "x', 1, 9],
    ['[1, 2', 1, 6],
    ['01', 1, 1],
    ['{"a":1} x', 1, 9],
    ['["\t"]', 1, 3],
  ])('%j: the place is named', (text, line, column) => {
    expect(check('application/json', text)).toMatchObject({ line, column });
  });

  it('may nest 64 levels and no more', () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    expect(check('application/json', nested(64))).toBeUndefined();
    expect(check('application/json', nested(65))).toMatchObject({ line: 1, column: 65 });
  });
});

describe('YAML', () => {
  it.each([
    'a: 1\nb: [x, y]\n',
    '',
    '# only a comment\n',
    '---\na: 1\n---\nb: 2\n',
    'base: &b {x: 1}\nderived:\n  <<: *b\n  y: 2\n',
    'Resource: !Ref Bucket\nList: !Join [",", [a]]\nMap: !Custom {a: 1}\n',
    '!<tag:example.com,2000:x> v',
    'bin: !!binary aGk=\nset: !!set {a, b}\n',
    '1: number\ntrue: boolean\n? [complex]\n: key\n',
  ])('is accepted: %j', (text) => {
    expect(check('application/yaml', text)).toBeUndefined();
  });

  it.each([
    ['a: 1\n b: 2', 2],
    ['a: [1, 2', 1],
    ['a: *nowhere', 1],
    ['a: 1\na: 2', 2],
    ['\tx: 1', 1],
  ])('is refused: %j', (text, line) => {
    expect(check('application/yaml', text)?.line).toBe(line);
  });

  it('may hold 100 aliases and no more, however little text they take', () => {
    const aliases = (count: number) => `a: &a x\nb: [${Array(count).fill('*a').join(',')}]`;
    expect(check('application/yaml', aliases(100))).toBeUndefined();
    expect(check('application/yaml', aliases(101))?.reason).toContain('101 aliases');
  });

  it('may nest 64 levels and no more', () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    expect(check('application/yaml', nested(64))).toBeUndefined();
    expect(check('application/yaml', nested(65))).toBeDefined();
  });
});

describe('TOML', () => {
  it('is accepted or refused with its place', () => {
    expect(
      check('application/toml', 'a = 1\n[b]\nc = 2026-01-01\nd = 9223372036854775807\n'),
    ).toBeUndefined();
    expect(check('application/toml', 'a = 1\nb = \n')).toMatchObject({ line: 2 });
    expect(check('application/toml', 'a = 1\na = 2\n')?.line).toBe(2);
  });

  it('may nest 64 levels and no more, by dots too', () => {
    const dotted = (levels: number) => `${Array(levels).fill('a').join('.')} = 1`;
    expect(check('application/toml', dotted(64))).toBeUndefined();
    expect(check('application/toml', dotted(65))).toBeDefined();
    expect(check('application/toml', `a = ${'['.repeat(70)}${']'.repeat(70)}`)).toBeDefined();
  });
});

describe('properties', () => {
  it.each(['', 'a=b', 'a b\nc:d\n! x \\u\n# \\uzz', 'a = \\u00e9', 'a=\\\\u', 'a = b \\\n  c'])(
    'is accepted: %j',
    (text) => {
      expect(check('text/x-java-properties', text)).toBeUndefined();
    },
  );

  it.each([
    ['a=1\nb=\\u12', 2, 3],
    ['a=\\\\\\uzzzz', 1, 5],
    ['a=1 \\\n# \\u', 2, 3],
  ])('is refused: %j', (text, line, column) => {
    expect(check('text/x-java-properties', text)).toMatchObject({ line, column });
  });
});

describe('any type', () => {
  it('with a form must be UTF-8, and is told where it is not', () => {
    const bytes = Buffer.concat([Buffer.from('{"é": "\ufffd",\n'), Buffer.from([0xff]), Buffer.from('}')]);
    expect(check('application/json', bytes)).toEqual({ reason: 'not UTF-8', line: 2, column: 1 });
  });

  it('without a form may be any bytes', () => {
    expect(check('text/plain', Buffer.from([0xff, 0x00]))).toBeUndefined();
    expect(check('application/octet-stream', Buffer.from([0xff]))).toBeUndefined();
  });
});
