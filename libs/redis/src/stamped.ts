import type { RedisMac } from './redis-mac.js';

/** What orders the states of one thing, whichever way they travel: compared by incarnation, then by seq. */
export interface Stamp {
  incarnation: number;
  seq: number;
}

export interface Stamped extends Stamp {
  value: unknown;
}

/**
 * Stored is `<incarnation>:<seq>:<mac>:<json>`: the script compares stamps without parsing the value, and the MAC is over all
 * the rest. This is the part from the MAC on.
 */
export function sealStamped(mac: RedisMac, key: string, { incarnation, seq, value }: Stamped): string {
  return mac.seal(stampedKey(key, { incarnation, seq }), JSON.stringify(value));
}

/** The entry in the text; undefined when it is not one, or its MAC is not of this key, stamp and value. */
export function openStamped(mac: RedisMac, key: string, text: string): Stamped | undefined {
  const match = /^(\d{1,16}):(\d{1,16}):/.exec(text);
  if (!match) return undefined;
  const stamp = { incarnation: Number(match[1]), seq: Number(match[2]) };
  const json = mac.open(stampedKey(key, stamp), text.slice(match[0].length));
  return json === undefined ? undefined : { ...stamp, value: JSON.parse(json) };
}

function stampedKey(key: string, { incarnation, seq }: Stamp): string {
  return `${key}\n${incarnation}\n${seq}`;
}

/**
 * KEYS[1]; ARGV: incarnation, seq, MAC and value, time to live in ms. Answers 1 when it was stored.
 * Lua's numbers are doubles, exact up to 2^53 like ours.
 */
export const SET_IF_NEWER = `
local incarnation, seq = tonumber(ARGV[1]), tonumber(ARGV[2])
local present = redis.call('GET', KEYS[1])
if present then
  local i, s = string.match(present, '^(%d+):(%d+):')
  if i then
    i, s = tonumber(i), tonumber(s)
    if i > incarnation or (i == incarnation and s >= seq) then return 0 end
  end
end
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2] .. ':' .. ARGV[3], 'PX', ARGV[4])
return 1`;
