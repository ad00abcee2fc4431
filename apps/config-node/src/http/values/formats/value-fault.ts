/** Why a value is not well-formed, and where: line and column count from 1. */
export interface ValueFault {
  reason: string;
  line: number | null;
  column: number | null;
}

export const MAX_DEPTH = 64;

export function faultAt(text: string, offset: number, reason: string): ValueFault {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  let line = 1;
  for (let at = before.indexOf('\n'); at >= 0; at = before.indexOf('\n', at + 1)) line += 1;
  return { reason, line, column: offset - lineStart + 1 };
}

export function tooDeep(): string {
  return `nested more than ${MAX_DEPTH} levels deep`;
}
