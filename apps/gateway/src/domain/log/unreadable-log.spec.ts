import { describe, expect, it } from 'vitest';
import { UnreadableLog } from './unreadable-log.js';

describe('finding 1: a log that cannot be read on', () => {
  it('is read at another node first, and left out when a second one sends the same', () => {
    const log = new UnreadableLog();
    expect(log.damaged(4, 'node-1')).toBe('read-elsewhere');
    expect(log.damaged(4, 'node-1')).toBe('read-elsewhere');
    expect(log.damaged(4, 'node-2')).toBe('leave-out');
    expect(log.damaged(9, 'node-2')).toBe('read-elsewhere');
  });

  it('counts each version for itself', () => {
    const log = new UnreadableLog();
    expect(log.damaged(4, 'node-1')).toBe('read-elsewhere');
    expect(log.damaged(5, 'node-2')).toBe('read-elsewhere');
    expect(log.damaged(5, 'node-3')).toBe('leave-out');
  });

  it('is left out when the only node sends it so five times', () => {
    const log = new UnreadableLog();
    const answers = Array.from({ length: 5 }, () => log.damaged(4, 'node-1'));
    expect(answers).toEqual([...Array<string>(4).fill('read-elsewhere'), 'leave-out']);
  });
});
