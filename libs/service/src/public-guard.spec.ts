import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { PublicGuard } from './public-guard.js';

const guard = () =>
  new PublicGuard({
    publicHosts: ['localhost', '127.0.0.1', '[::1]'],
    corsOrigins: ['https://console.example'],
    clusterKey: 'k'.repeat(32),
  });

/** The part of a request that is judged when it shows no signature. */
const asked = ({ headers }: Pick<IncomingMessage, 'headers'>) =>
  ({
    headers,
    rawHeaders: Object.entries(headers).flatMap(([name, value]) => [name, String(value)]),
    httpVersion: '1.1',
  }) as IncomingMessage;

describe('PublicGuard', () => {
  it.each([
    [{ host: '127.0.0.1:8080' }, true],
    [{ host: 'LOCALHOST' }, true],
    [{ host: '[::1]:8080' }, true],
    [{ host: 'evil.example' }, false],
    [{ host: '127.0.0.1.evil.example:8080' }, false],
    [{}, false],
    [{ host: 'localhost:8080', origin: 'http://localhost:8080' }, true],
    [{ host: 'localhost:8080', origin: 'http://localhost:9999' }, false],
    [{ host: 'localhost:8080', origin: 'https://evil.example' }, false],
    [{ host: 'localhost:8080', origin: 'null' }, false],
    [{ host: 'localhost:8080', origin: 'https://console.example' }, true],
    [{ host: 'node-1:7400', 'holdfast-cluster-key': 'k'.repeat(32) }, true],
    [{ host: 'node-1:7400', 'holdfast-cluster-key': 'wrong' }, false],
    [{ host: '127.0.0.1:8080', 'holdfast-cluster-key': 'wrong' }, false],
  ])('%j passes: %s', (headers, passes) => {
    expect(guard().fault(asked({ headers })) === undefined).toBe(passes);
  });

  it('still checks the origin of a host seen before', () => {
    const seen = guard();
    expect(seen.fault(asked({ headers: { host: 'localhost:8080' } }))).toBeUndefined();
    expect(
      seen.fault(asked({ headers: { host: 'localhost:8080', origin: 'https://evil.example' } }))?.code,
    ).toBe('forbidden');
  });
});
