/** What orders the states of one thing, whichever way they travel: compared by incarnation, then by seq. */
export interface Stamp {
  incarnation: number;
  seq: number;
}

export interface Stamped extends Stamp {
  value: unknown;
}

/** `<incarnation>:<seq>:<json>`: the script compares stamps without parsing the value. */
export function parseStamped(text: string): Stamped | undefined {
  const match = /^(\d+):(\d+):/.exec(text);
  if (!match) return undefined;
  return {
    incarnation: Number(match[1]),
    seq: Number(match[2]),
    value: JSON.parse(text.slice(match[0].length)),
  };
}

/**
 * KEYS[1]; ARGV: incarnation, seq, value as JSON, time to live in ms. Answers 1 when it was stored.
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
