import { faultAt, type ValueFault } from './value-fault.ts';

const COMMENT = /^[ \t\f]*[#!]/;
const BAD_ESCAPE = /(?<!\\)(?:\\\\)*\\u(?![0-9a-fA-F]{4})/;

/**
 * Java properties: nearly any text is some. What `Properties.load` refuses is a \u without four hex digits, outside
 * of comments.
 */
export function checkProperties(text: string): ValueFault | undefined {
  let offset = 0;
  let continued = false;
  for (const line of text.split('\n')) {
    const isComment: boolean = !continued && COMMENT.test(line);
    const bad = isComment ? null : BAD_ESCAPE.exec(line);
    if (bad !== null) {
      return faultAt(text, offset + bad.index + bad[0].length - 2, 'four hex digits follow \\u');
    }
    continued = !isComment && /(?<!\\)(?:\\\\)*\\\r?$/.test(line);
    offset += line.length + 1;
  }
  return undefined;
}
