/**
 * Orders two well-formed strings by their UTF-8 bytes, without encoding them.
 * UTF-16 order differs only where a surrogate meets a code unit from U+E000 up; the fix-up is the one of
 * "UTF-16 in code point order" (Unicode Technical Note 12).
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return codePointRank(x) - codePointRank(y);
  }
  return a.length - b.length;
}

function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}
