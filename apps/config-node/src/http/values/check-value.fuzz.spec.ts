import fc from 'fast-check';
import { FAILSAFE_SCHEMA, loadAll } from 'js-yaml';
import { loadAll as loadAll4, FAILSAFE_SCHEMA as SCHEMA4 } from 'js-yaml-4';
import { describe, expect, it } from 'vitest';
import { checkValue } from './check-value.ts';
import { checkProperties } from './formats/properties-check.ts';
import { indentYaml } from './formats/yaml-indentation.ts';

/** What the formats are made of, put together at random: near enough to values to come far into the parsers. */
const COMMON = [
  ' ',
  '  ',
  '\n',
  '\r\n',
  '\r',
  '\t',
  'a',
  'b',
  '1',
  '"',
  "'",
  '\\',
  '#',
  '=',
  ':',
  ',',
  '[',
  ']',
];
const FRAGMENTS: Readonly<Record<string, readonly string[]>> = {
  'application/json': [
    ...COMMON,
    '{',
    '}',
    '"a":',
    'null',
    '-0.1e+9',
    '\\u00',
    '\\ud800',
    '\ufeff',
    '"\u0000"',
  ],
  'application/yaml': [
    ...[
      ...COMMON,
      '{',
      '}',
      '- ',
      '? ',
      ': ',
      'a: ',
      'b: [',
      'c: {\n',
      '\n]',
      '\n}',
      '&a ',
      '*a',
      '<<: *a\n',
    ],
    ...[
      '|\n',
      '>-2\n',
      '!!int ',
      '!x ',
      '!<tag:y> ',
      '---\n',
      '...\n',
      '%YAML 1.2\n',
      '%TAG ! x\n',
      '"\n',
      '\u0085',
    ],
  ],
  'application/toml': [
    ...[
      ...COMMON,
      '\na = ',
      '\n[a]\n',
      '[[a]]\n',
      'a.b',
      '{',
      '}',
      '"""',
      "'''",
      '1979-02-30',
      '07:32',
      '_0',
      '0x',
    ],
    ...['9223372036854775808', 'nan', 'true', '\\U00110000', '__proto__', '\u0000'],
  ],
  'text/x-java-properties': [...COMMON, '\\u', '\\u00e9', '\\\n', '\f', '!', '\u0000'],
};
const TYPES = Object.keys(FRAGMENTS);
const text = (type: string, maxLength: number) =>
  fc.array(fc.constantFrom(...(FRAGMENTS[type] ?? [])), { maxLength }).map((parts) => parts.join(''));

function expectNamed(type: string, bytes: Buffer): void {
  const fault = checkValue(type, bytes);
  if (fault === undefined) return;
  expect(fault).toEqual({ reason: expect.stringMatching(/./), line: fault.line, column: fault.column });
  if (fault.line === null) return;
  expect(Number.isInteger(fault.line) && fault.line >= 1).toBe(true);
  expect(Number.isInteger(fault.column) && (fault.column ?? 0) >= 1).toBe(true);
}

describe('values of any kind', () => {
  it.each(TYPES)('%s: have a named fault or none', (type) => {
    fc.assert(
      fc.property(text(type, 30), (value) => expectNamed(type, Buffer.from(value))),
      { numRuns: 3_000 },
    );
  });

  it.each(TYPES)('%s: bytes have a named fault or none', (type) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => expectNamed(type, Buffer.from(bytes))),
      { numRuns: 1_000 },
    );
  });

  // Whatever a pattern costs: it must not cost more and more for each time that it occurs.
  it.each(TYPES)('%s: cost less than a second of CPU time for 128 KiB of any pattern', (type) => {
    fc.assert(
      fc.property(text(type, 3), text(type, 6), (head, pattern) => {
        fc.pre(pattern !== '');
        const bytes = Buffer.from(head + pattern.repeat(Math.ceil((128 * 1024) / pattern.length)));
        const before = process.threadCpuUsage();
        expectNamed(type, bytes);
        const { user, system } = process.threadCpuUsage(before);
        expect([pattern, (user + system) / 1_000 < 1_000]).toEqual([pattern, true]);
      }),
      { numRuns: 60 },
    );
  });
});

/** The rules of `Properties.load(Reader)` one after the other: natural lines, logical lines, escapes. */
function loads(text: string): boolean {
  const logical: string[] = [];
  let begun = '';
  for (const natural of text.split(/\r\n|\r|\n/)) {
    const line = natural.replace(/^[ \t\f]+/, '');
    if (begun === '' && (line === '' || /^[#!]/.test(line))) continue;
    const backslashes = /\\*$/.exec(line)?.[0].length ?? 0;
    begun += backslashes % 2 === 1 ? line.slice(0, -1) : line;
    if (backslashes % 2 === 1) continue;
    logical.push(begun);
    begun = '';
  }
  return [...logical, begun].every(
    (line) => !/^(?:[^\\]|\\(?:[^u]|u[0-9a-fA-F]{4}))*\\u(?![0-9a-fA-F]{4})/s.test(line),
  );
}

describe('Java properties', () => {
  it('are loaded or refused as the rules say', () => {
    const piece = fc.constantFrom(
      '\\',
      '\\u',
      '00',
      'e9',
      'u',
      '\n',
      '\r',
      '\r\n',
      ' ',
      '#',
      '!',
      '=',
      'a',
      '\\u00e9',
      '\f',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const text = pieces.join('');
        expect([text, checkProperties(text) === undefined]).toEqual([text, loads(text)]);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('report 4: YAML that is indented to be judged', () => {
  it('means what it meant', () => {
    const NODES = [
      'x',
      '"y\nz"',
      "'y\n  z'",
      '[',
      ']',
      '{',
      '}',
      ',',
      '\n',
      '\n  ',
      '# c\n',
      'k: ',
      ' ',
      '\t',
    ];
    const node = fc.array(fc.constantFrom(...NODES), { maxLength: 12 }).map((parts) => parts.join(''));
    let compared = 0;
    fc.assert(
      fc.property(node, node, fc.constantFrom('', '- ', '- - k: '), (first, second, lead) => {
        const value = `${lead}a: [${first}\n]\n${' '.repeat(lead.length)}b: {${second}\n}\n`;
        const original = loadOr(() => loadAll4(value, null, options4));
        const indented = indentYaml(value);
        if (original === undefined || indented === undefined || 'reason' in indented) return;
        const judged = loadOr(() => loadAll(indented.text, { schema: FAILSAFE_SCHEMA }));
        if (judged === undefined) return; // js-yaml 5 has more rules
        compared += 1;
        expect(shown(judged)).toBe(shown(original));
      }),
      { numRuns: 5_000 },
    );
    expect(compared).toBeGreaterThan(100);
  });
});

const options4 = { schema: SCHEMA4, json: false, maxDepth: 100, listener: () => undefined };

function loadOr(load: () => unknown[]): unknown[] | undefined {
  try {
    return load();
  } catch {
    return undefined;
  }
}

/** js-yaml 4 has null, and `null` as a key, where nothing stands. Tabs amid plain scalars are spaces to be judged. */
function shown(documents: unknown[]): string {
  const text = JSON.stringify(documents, (_, value: unknown) => value ?? '');
  return text.replaceAll('"null":', '"":').replaceAll('\\t', ' ');
}
