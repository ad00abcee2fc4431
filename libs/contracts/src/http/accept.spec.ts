import { describe, expect, it } from 'vitest';
import { accepts } from './accept.js';

describe('accepts', () => {
  it.each([
    [undefined, true],
    ['*/*', true],
    ['text/*;q=0.5', true],
    ['application/json, text/event-stream', true],
    ['application/json', false],
    ['*/*, text/event-stream;q=0', false],
    ['text/event-stream;q=0, */*', false],
    ['nonsense', false],
  ])('%s: %s', (header, expected) => {
    expect(accepts(header, 'text/event-stream')).toBe(expected);
  });
});
