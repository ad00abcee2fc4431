import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkValue } from './check-value.ts';
import { checkJson } from './formats/json-check.ts';

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

  it.each([
    'a: [\n  x\n]\n',
    'a: {\n  b: 1\n}\n',
    'a:\n  - b: {\n    c: 1\n  }\n  - [\n  1]\n',
    'a: [\nx,\n# comment\n[\ny\n]\n]\nb: {\n}\n',
    'a: "x\ny"\nb: \'x\n\ny\'\n',
    'a: [\n\tx\n]\n',
    'a: &a [\n]\nb: !!map {\n}\nc: [*a,\n*a]\n',
    'a:\r\n  b: [\r\n  x\r\n]\r\n',
    'a:\t[1,\t2]\n',
    '-\t[x]\n- {y:\tz}\t# w\n- a:\t!x\t&b\t{\t"c\td"\t:\t1 }\n',
    'a: {"x\ty": 1, "x y": 2,\t\'x  y\': 3}\n',
    '- - a: {\n}\n    b: |\n      ]\n      }\n- c\n',
  ])('report 4: a node is closed or goes on at the margin: %j', (text) => {
    expect(check('application/yaml', text)).toBeUndefined();
  });

  it.each([
    ['a: [\n]\nb: 1\nb: 2\n', 4, 1, 'duplicated mapping key'],
    ['a:\n  b: [\n  x, x: 1: 2\n]\n', 3, 3, 'at line 3: '],
    ['a: [\n]\n}\n', 2, 1, 'at line 3: '],
    ['a: [\nx\n', 2, 1, 'unexpected end of the stream within a flow collection'],
    ['a: [\n---\n]\n', 2, 1, 'deficient indentation'],
    ['a: x\n]\n', 2, 1, ''],
    ['a: [\n]\nb: [*x]\n', 2, 1, 'at line 3: unidentified alias "x"'],
    ['a: [\n]\nb: &b [\n  *b]\n', 4, 3, 'stands for itself'],
  ])('report 4: what else is wrong beside is named: %j', (text, line, column, reason) => {
    const fault = check('application/yaml', text);
    expect([fault?.line, fault?.column]).toEqual([line, column]);
    expect(fault?.reason).toContain(reason);
  });

  it('report 4: a value of 1 MiB of such nodes is read as fast as any', () => {
    const before = process.threadCpuUsage();
    const text = Array.from({ length: 85_000 }, (_, i) => `k${i}: [\n]\n`).join('');
    expect(check('application/yaml', text)).toBeUndefined();
    const wide = `${' '.repeat(400_000)}a: [${'\n1,'.repeat(200_000)}]`;
    expect(check('application/yaml', wide)).toBeDefined();
    const { user, system } = process.threadCpuUsage(before);
    expect((user + system) / 1_000).toBeLessThan(3_000);
  });

  it('report 5: may hold as many aliases as it likes to what is small', () => {
    const merging = Array.from({ length: 500 }, (_, i) => `s${i}:\n  <<: *base\n  name: s${i}\n`);
    expect(check('application/yaml', `base: &base {a: 1, b: [x, y]}\n${merging.join('')}`)).toBeUndefined();
    const bare = `a: &a x\nb: [${Array(50_000).fill('*a').join(',')}]`;
    expect(check('application/yaml', bare)).toBeUndefined();
  });

  it.each([
    [
      'aliases of aliases',
      [
        'a0: &a0 [x, x, x, x, x, x, x, x, x]',
        ...Array.from(
          { length: 9 },
          (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`,
        ),
      ].join('\n'),
    ],
    ['a long text', `a: &a ${'x'.repeat(500_000)}\nb: [${Array(40).fill('*a').join(',')}]`],
    [
      'merges of merges',
      `a: &a {${Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join(', ')}}\n${Array.from({ length: 60 }, (_, i) => `m${i}: {<<: *a}\n`).join('')}`,
    ],
    ['aliases in other documents', `${`--- [&a [${'x,'.repeat(1_000)}], ${'*a,'.repeat(200)}]\n`.repeat(6)}`],
  ])('report 5: may not stand for more than a reader can build: %s', (_, text) => {
    expect(check('application/yaml', text)?.reason).toContain('1048576 nodes');
  });

  it('report 5: counts the levels of what an alias stands for', () => {
    const chain = (levels: number) =>
      Array.from({ length: levels - 1 }, (_, i) => `- &a${i} [${i === 0 ? '' : `*a${i - 1}`}]\n`).join('');
    expect(check('application/yaml', chain(64))).toBeUndefined();
    expect(check('application/yaml', chain(65))?.reason).toContain('64 levels');
  });

  it('may nest 64 levels and no more', () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    expect(check('application/yaml', nested(64))).toBeUndefined();
    expect(check('application/yaml', nested(65))).toMatchObject({ line: 1, column: 65 });
    expect(check('application/yaml', nested(70))?.reason).toContain('64 levels');
    const filled = (levels: number) => `${'['.repeat(levels)}x${']'.repeat(levels)}`;
    expect(check('application/yaml', filled(64))).toBeUndefined();
    expect(check('application/yaml', filled(65))).toBeDefined();
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

describe('properties, as java.util.Properties loads them', () => {
  it.each([
    '',
    'a=b',
    'a b\nc:d\n! x \\u\n# \\uzz',
    'a = \\u00e9',
    'a=\\\\u',
    'a = b \\\n  c',
    '=\n:\n\\',
    'a\\=b\\:c=d\\qe',
    '  \t\f# \\u',
    'a=1\r# \\u\rb=2\r\n! \\u',
    'a=\\u00\\\n   e9', // a line may end amid an escape
    'a=x\\\n\n# \\u', // an empty line ends a continued one
    '\\\n\\u0041=1',
    '\\\n# \\u', // nothing of a line has come yet: a comment
    'a=1\u0000',
    '\ufeffa=1',
    'same=1\nsame=2',
    'a=\\U0',
  ])('are accepted: %j', (text) => {
    expect(check('text/x-java-properties', text)).toBeUndefined();
  });

  it.each([
    ['a=1\nb=\\u12', 2, 3],
    ['a=\\\\\\uzzzz', 1, 5],
    ['a=1 \\\n# \\u', 2, 3],
    ['a\\u00 41=b', 1, 2],
    ['a=\\u00\\n41', 1, 3],
    ['a=\\uu0041', 1, 3],
    ['a=\\u00\\\n\nb=41', 1, 3],
    ['a=\\u00\\', 1, 3],
    ['# x\\\na=\\u', 2, 3], // a comment does not go on
  ])('are refused: %j', (text, line, column) => {
    expect(check('text/x-java-properties', text)).toMatchObject({ line, column });
  });
});

describe('report 9d: another encoding', () => {
  it.each([
    ['application/json', Buffer.from('\ufeff{}'), 'byte order mark (BOM)'],
    ['application/json', Buffer.from('\ufeff{"a":"é"}', 'utf16le'), 'UTF-16LE'],
    ['application/json', Buffer.from('{"a":1}', 'utf16le'), 'UTF-16LE'],
    ['application/json', Buffer.from('{"a":1}', 'utf16le').swap16(), 'UTF-16BE'],
    ['application/yaml', Buffer.from('\ufeffa: 1', 'utf16le').swap16(), 'UTF-16BE'],
    ['application/toml', Buffer.from('a = 1', 'utf16le'), 'UTF-16LE'],
    ['text/x-java-properties', Buffer.from('\ufeffa=1', 'utf16le'), 'UTF-16LE'],
    ['application/json', Buffer.from([0xff, 0xfe, 0, 0, 0x31, 0, 0, 0]), 'UTF-32LE'],
    ['application/json', Buffer.from([0, 0, 0, 0x31]), 'UTF-32BE'],
    ['application/json', Buffer.from([0x22, 0xe9, 0x22]), 'not UTF-8'],
  ])('of %s is called by its name', (type, bytes, name) => {
    const fault = checkValue(type, bytes);
    expect(fault?.reason).toContain(name);
    expect(fault?.line).toBe(1);
  });

  it.each(['application/yaml', 'application/toml'])('%s may begin with a BOM', (type) => {
    expect(check(type, type.endsWith('yaml') ? '\ufeffa: 1\n' : '\ufeffa = 1\n')).toBeUndefined();
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
