import { describe, expect, it } from 'vitest';
import { Problem } from '#libs/contracts';
import {
  cloudEventHeaders,
  decodeJson,
  decodeProblem,
  encodeProblem,
  isSubjectToken,
  withToken,
} from './wire.js';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('the wire format', () => {
  it('reads plain JSON, an empty body as an empty object, and says when it is neither', () => {
    expect(decodeJson(bytes('{"a":[1]}'))).toEqual({ ok: true, value: { a: [1] } });
    expect(decodeJson(bytes(''))).toEqual({ ok: true, value: {} });
    expect(decodeJson(bytes('{"a":'))).toEqual({ ok: false, fault: 'not-json' });
  });

  it('reads only its own part of a larger buffer', () => {
    expect(decodeJson(bytes('xx{"a":1}yy').subarray(2, 9))).toEqual({ ok: true, value: { a: 1 } });
  });

  it('carries CloudEvents attributes in headers', () => {
    const event = {
      id: '7',
      subject: 'leader.elected',
      source: 'failover-1',
      time: '2026-01-01T00:00:00.000Z',
    };
    expect(Object.fromEntries(cloudEventHeaders(event))).toEqual({
      'ce-specversion': '1.0',
      'ce-id': '7',
      'ce-type': 'holdfast.leader.elected',
      'ce-source': '/holdfast/failover-1',
      'ce-time': '2026-01-01T00:00:00.000Z',
      'content-type': 'application/json',
    });
  });

  it('brings a problem to the other side with its members', () => {
    const problem = new Problem('node-not-found', 'no node node-9', { nodeId: 'node-9' });
    const reply = encodeProblem(problem);
    expect(reply.headers).toContainEqual(['Nats-Service-Error-Code', '404']);
    expect(reply.headers).toContainEqual(['Nats-Service-Error', 'node-not-found']);
    const decoded = decodeProblem('404', 'node-not-found', bytes(reply.body));
    expect(decoded).toMatchObject({ code: 'node-not-found', members: { nodeId: 'node-9' } });
  });

  it("takes a stranger's error for an internal one", () => {
    expect(decodeProblem('500', 'boom', bytes('oops'))).toMatchObject({
      code: 'internal',
      detail: '500 boom',
    });
  });

  it('knows which tokens a subject can carry', () => {
    const good = ['node-1', 'orders=prod', 'critical'];
    const bad = ['', 'a.b', 'a b', '*', 'a>', 'x\u0000'];
    expect([...good, ...bad].filter(isSubjectToken)).toEqual(good);
    expect(withToken('election.poll', 'node-1')).toBe('election.poll.node-1');
  });
});
