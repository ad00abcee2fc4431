import { describe, expect, it } from 'vitest';
import { GatewayBalancing, HistoryRetention, isSystemKey, parseSystemValue } from './system-keys.js';

describe("Holdfast's own keys", () => {
  it('are those that it reads, and no others', () => {
    expect(isSystemKey('gateway/balancing')).toBe(true);
    expect(isSystemKey('history/retention')).toBe(true);
    expect(isSystemKey('gateway')).toBe(false);
    expect(isSystemKey('toString')).toBe(false);
  });

  it.each([
    ['{"strategy":"round-robin"}', { strategy: 'round-robin' }],
    ['{"strategy":"consistent-hash","loadPercent":150,"hedge":true,"slowStartMs":0}', { loadPercent: 150 }],
  ])('%s is a balancing', (text, value) => {
    expect(parseSystemValue(GatewayBalancing, text)).toMatchObject({ value });
  });

  it.each([
    '{"namespaces":{}}',
    '{"namespaces":{"*":{"maxAgeDays":1},"team.app":{},"audit":{"maxVersionsPerKey":10,"maxAgeDays":36500}}}',
  ])('%s is a retention', (text) => {
    expect(parseSystemValue(HistoryRetention, text)).toEqual({ value: JSON.parse(text) });
  });

  it.each([
    ['{}', 'namespaces'],
    ['{"*":{"maxAgeDays":1}}', 'namespaces'],
    ['{"namespaces":{"app":{"maxAgeDays":0}}}', 'namespaces.app.maxAgeDays'],
    ['{"namespaces":{"app":{"maxAgeDays":1.5}}}', 'namespaces.app.maxAgeDays'],
    ['{"namespaces":{"app":{"maxAgeDays":"30"}}}', 'namespaces.app.maxAgeDays'],
    ['{"namespaces":{"app":{"maxVersionsPerKey":9}}}', 'namespaces.app.maxVersionsPerKey'],
    ['{"namespaces":{"app":{"maxAge":"30d"}}}', 'namespaces.app'],
    ['{"namespaces":{"Not one":{"maxAgeDays":1}}}', 'namespaces.Not one'],
    ['{"namespaces":{"app.*":{"maxAgeDays":1}}}', 'namespaces.app.*'],
  ])('%s is none: the fault is at "%s"', (text, field) => {
    expect(parseSystemValue(HistoryRetention, text)).toMatchObject({
      fault: { field, why: expect.any(String) },
    });
  });

  it.each([
    ['', ''],
    ['{"strategy":', ''],
    ['"round-robin"', ''],
    ['{}', 'strategy'],
    ['{"strategy":"random"}', 'strategy'],
    ['{"strategy":"round-robin","weights":{}}', ''],
    ['{"strategy":"round-robin","slowStartMs":-1}', 'slowStartMs'],
    ['{"strategy":"round-robin","slowStartMs":1.5}', 'slowStartMs'],
    ['{"strategy":"consistent-hash","loadPercent":100}', 'loadPercent'],
  ])('%s is none: the fault is at "%s"', (text, field) => {
    expect(parseSystemValue(GatewayBalancing, text)).toMatchObject({
      fault: { field, why: expect.any(String) },
    });
  });
});
