const MIB = 1024 * 1024;

/** Repeats a piece up to the largest value that is accepted. */
function fill(piece: (i: number) => string, head = '', limit = MIB): string {
  const pieces = [head];
  let size = head.length;
  for (let i = 0; ; i++) {
    const next = piece(i);
    if (size + next.length > limit) return pieces.join('');
    pieces.push(next);
    size += next.length;
  }
}

/** Ten documents that are small on the wire and dear to parse: each has kept some YAML parser busy for seconds. */
export const HOSTILE_YAML: Record<string, string> = {
  'a legal map of 1 MiB': fill((i) => `k${i}: v${i}\n`),
  'a legal list of 1 MiB': fill(() => '- a\n'),
  'aliases of aliases': [
    'a0: &a0 [x, x, x, x, x, x, x, x, x]',
    ...Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`),
  ].join('\n'),
  'brackets without end': '['.repeat(MIB),
  'braces with keys without end': fill(() => '{a: '),
  'indentation without end': fill((i) => `${' '.repeat(i)}a:\n`),
  'merge keys': fill(
    (i) => `m${i}: {<<: [*base, *base, *base, *base]}\n`,
    'base: &base {a: 1, b: 2, c: 3}\n',
  ),
  'complex keys': fill(() => '? '),
  'a scalar of folded lines': fill(() => ' a\n\n', 'text: >\n'),
  'tags and anchors': fill((i) => `- !!str &n${i} x\n`),
};
