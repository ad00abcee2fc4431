/** Whether an Accept header admits a media type, by the most specific range that names it (RFC 9110, 12.5.1). */
export function accepts(accept: string | undefined, type: string): boolean {
  if (accept === undefined || accept.trim() === '') return true;
  const [family] = type.split('/');
  let best = -1;
  let quality = 0;
  for (const range of accept.split(',')) {
    const [name, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const rank = [`*/*`, `${family}/*`, type].indexOf(name ?? '');
    if (rank < 0 || rank < best) continue;
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    const value = q === undefined ? 1 : Number.parseFloat(q.slice(2));
    quality = rank > best ? value : Math.max(quality, value);
    best = rank;
  }
  return best >= 0 && !(quality === 0);
}
