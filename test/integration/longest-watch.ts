import { LIMITS } from '#libs/contracts';

/** A long poll of as many prefixes as one may have, each as long as it may be, every byte of it percent-encoded. */
export function longestWatch(): string {
  const prefix = '%C3%A9'.repeat(LIMITS.keyBytes / 2);
  const watches = Array.from({ length: LIMITS.watchesPerStream }, (_, i) => {
    const namespace = `n${i}-`.padEnd(LIMITS.namespaceChars, 'x');
    return `w=${namespace}%3A${prefix}`;
  });
  return `/v1/watch?wait=0s&${watches.join('&')}`;
}
