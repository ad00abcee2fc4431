import { describe, expect, it } from 'vitest';
import { SseParser } from './sse.js';

const STREAM = [
  'retry: 1000',
  '',
  ': still there',
  'event: change',
  'id: 7',
  'data: {"ä":',
  'data: 1}',
  '',
  'data:bare',
  '',
  '',
].join('\n');

describe('SseParser', () => {
  it.each([1, 2, 3, 7, 1000])('reads the same events from pieces of %i bytes', (size) => {
    const parser = new SseParser();
    const bytes = Buffer.from(STREAM);
    const events = [];
    for (let at = 0; at < bytes.length; at += size)
      events.push(...parser.push(bytes.subarray(at, at + size)));
    expect(events).toEqual([
      { event: 'change', id: '7', data: '{"ä":\n1}' },
      { event: 'message', id: '7', data: 'bare' },
    ]);
    expect(parser.comments).toBe(1);
  });

  it('reads CRLF', () => {
    const events = new SseParser().push(Buffer.from('event: end\r\ndata: {}\r\n\r\n'));
    expect(events).toEqual([{ event: 'end', id: null, data: '{}' }]);
  });
});
