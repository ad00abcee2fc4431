import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { RestartEndpoint } from './restart-endpoint.js';

function door() {
  let nowMs = 1_000;
  const stops: string[] = [];
  const clock = { monotonicMs: () => nowMs, wallMs: () => nowMs };
  return {
    door: new RestartEndpoint(clock, (why) => stops.push(why)),
    stops,
    pass: (ms: number) => (nowMs += ms),
  };
}

describe('RestartDoor', () => {
  it('stops the process once, after it has answered', async () => {
    const it = door();
    it.pass(5_000);
    expect(it.door.request()).toEqual({ restarting: true });
    expect(it.stops).toEqual([]);
    await nextTurn();
    expect(() => it.door.request()).toThrow(expect.objectContaining({ code: 'shutting-down' }));
    await nextTurn();
    expect(it.stops).toEqual(['POST /restart']);
  });

  it('does not stop a process that has only just been started', async () => {
    const it = door();
    it.pass(4_999);
    expect(() => it.door.request()).toThrow(expect.objectContaining({ code: 'cluster-busy' }));
    await nextTurn();
    expect(it.stops).toEqual([]);
  });
});
