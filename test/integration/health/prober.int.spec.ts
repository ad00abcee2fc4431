import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { systemClock, systemRng } from '#libs/kernel';
import { HealthProber } from '../../../apps/health/src/health-prober.js';
import { until } from './health-lab.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const REPORT = JSON.stringify({ status: 'ready', checks: {} });

async function serve(answer: (response: ServerResponse) => void): Promise<string> {
  const server: Server = createServer((_request, response) => answer(response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function probe(address: string, everyMs: number): string[] {
  const found: string[] = [];
  const settings = { observer: 'health-1', fastEveryMs: 20, fastTimeoutMs: 200, ownPauseMs: 300 };
  const prober = new HealthProber('node-1', address, {
    settings,
    clock: systemClock,
    rng: systemRng,
    found: (finding) => {
      found.push(finding?.result ?? 'discarded');
      return { afterMs: everyMs, timeoutMs: settings.fastTimeoutMs };
    },
  });
  prober.start(0);
  closers.push(() => prober.stop());
  return found;
}

/** Keeps this process from doing anything else, prober and server alike. */
function stall(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

it('a time-out that it was itself too late to notice says nothing of the node', async () => {
  const moods = ['stalls', 'slow', 'quick'];
  const address = await serve((response) => {
    const mood = moods.shift() ?? 'quick';
    if (mood === 'stalls') stall(800);
    if (mood === 'slow') setTimeout(() => response.end(REPORT), 400);
    else response.end(REPORT);
  });
  const found = probe(address, 10);
  await until('three results', () => found.length >= 3);
  expect(found.slice(0, 3)).toEqual(['discarded', 'timeout', 'ok']);
});

it('a connection that breaks between two turns makes it ask at once, but not without end', async () => {
  let asked = 0;
  const address = await serve((response) => {
    asked += 1;
    response.setHeader('connection', 'close');
    response.end(REPORT);
  });
  probe(address, 500);
  await wait(2_100);
  // Every turn has one sooner turn after it at most: two in 520 ms instead of one in 500.
  expect(asked).toBeGreaterThanOrEqual(6);
  expect(asked).toBeLessThanOrEqual(10);
});

it('an answer without end is cut off', async () => {
  const address = await serve((response) => {
    response.write('{"status":"ready","checks":{"a":"');
    const more = setInterval(() => response.write('a'.repeat(32 * 1024)), 1);
    response.on('close', () => clearInterval(more));
  });
  const found = probe(address, 10);
  await until('two results', () => found.length >= 2);
  expect(found.slice(0, 2)).toEqual(['garbled', 'garbled']);
});
