import { describe, expect, it } from 'vitest';
import { readVerdict } from './read-answer.js';

describe('what an answer says of the node', () => {
  it.each([
    [200, undefined, 'good'],
    [304, undefined, 'good'],
    [404, undefined, 'good'],
    [429, undefined, 'good'],
    [500, undefined, 'failing'],
    [502, undefined, 'failing'],
    [503, undefined, 'failing'], // not an answer of ours
    [503, 'shutting-down', 'stopping'],
    [503, 'storage-unavailable', 'elsewhere'],
    [503, 'no-leader', 'indifferent'],
    [504, undefined, 'indifferent'], // a client that asks for a version of the future ejects nobody
  ] as const)('%d %s is %s', (status, code, verdict) => expect(readVerdict(status, code)).toBe(verdict));
});
