import { describe, expect, it } from 'vitest';
import { matchesHost, parseHostPattern } from './host-pattern.js';
import { loadSettings } from './load.js';

const patternsOf = (...texts: string[]) =>
  texts.map((text) => {
    const parsed = parseHostPattern(text);
    if ('fault' in parsed) throw new Error(parsed.fault);
    return parsed.pattern;
  });

describe('report 9b: HOLDFAST_PUBLIC_HOSTS', () => {
  it.each([
    ['config.example.com', 'config.example.com', true],
    ['config.example.com', 'CONFIG.example.com:9999', true],
    ['Config.Example.com', 'config.example.com.', true],
    ['config.example.com', 'a.config.example.com', false],
    ['config.example.com:8190', 'config.example.com:8190', true],
    ['config.example.com:8190', 'config.example.com:8191', false],
    ['config.example.com:8190', 'config.example.com', false],
    ['config.example.com:443', 'config.example.com', true],
    ['*.example.org', 'config.example.org', true],
    ['*.example.org', 'a.b.example.org:8080', true],
    ['*.example.org', 'example.org', false],
    ['*.example.org', 'evilexample.org', false],
    ['*.example.org', '.example.org', false],
    ['*.example.org:8190', 'a.example.org:8190', true],
    ['*.example.org:8190', 'a.example.org:1', false],
    ['[::1]', '[::1]:8080', true],
    ['[::1]:8080', '[::1]:8081', false],
    ['127.0.0.1', '127.0.0.1.evil.example:8080', false],
    ['my_service', 'my_service:80', true],
  ])('%s and a request for %s: %s', (pattern, host, passes) => {
    expect(matchesHost(patternsOf(pattern), host)).toBe(passes);
  });

  it.each([
    ['https://config.example.com:8190/', 'config.example.com:8190'],
    ['config.example.com/path', 'config.example.com'],
    ['::1', '[::1]'],
    ['*', '*.example.com'],
    ['a.*.example.com', '*.example.com'],
    ['config.example.com:99999', 'config.example.com:8190'],
    ['config..example.com', 'config.example.com'],
    ['', 'config.example.com'],
  ])('%s is refused, and the right form is named', (text, form) => {
    const parsed = parseHostPattern(text);
    expect('fault' in parsed ? parsed.fault : '').toContain(form);
  });

  it('refuses to start with a host that could never match', () => {
    const env = { HOLDFAST_PUBLIC_HOSTS: 'localhost,https://config.example.com:8190' };
    const load = () => loadSettings(['publicHosts'], {}, { argv: [], env, readFile: () => '' });
    expect(load).toThrow(/HOLDFAST_PUBLIC_HOSTS.*config\.example\.com:8190/s);
  });
});
