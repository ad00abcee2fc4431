import { describe, expect, it } from 'vitest';
import { isLargeAnswer, LARGE_ANSWER_BYTES } from './large-answer.js';

describe('an answer', () => {
  it.each([
    { method: 'GET', status: 200, length: LARGE_ANSWER_BYTES, large: false },
    { method: 'GET', status: 200, length: LARGE_ANSWER_BYTES + 1, large: true },
    { method: 'GET', status: 200, length: -1, large: true },
    { method: 'GET', status: 304, length: -1, large: false },
    { method: 'GET', status: 204, length: -1, large: false },
    { method: 'HEAD', status: 200, length: 4 * LARGE_ANSWER_BYTES, large: false },
  ])('$status to $method of length $length takes turns: $large', ({ method, status, length, large }) => {
    expect(isLargeAnswer(method, status, length)).toBe(large);
  });
});
