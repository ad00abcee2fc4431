import { parseArgs } from 'node:util';
import { request } from 'undici';
import { ConsistencyCheckReply, ConsistencyReport, Problem } from '#libs/contracts';
import { messageOf } from '#libs/kernel';
import { verdictLines } from './domain/report-text.js';

/*
 * `npm run consistency [-- --repair] [-- --gateway http://127.0.0.1:8080]`: compares all nodes now, and prints what came
 * of it. Ends with 0 when all match, with 1 when not, with 2 when it could not be found out.
 */
const TIMEOUT_MS = 70_000;

const { values } = parseArgs({
  options: {
    gateway: { type: 'string', default: 'http://127.0.0.1:8080' },
    repair: { type: 'boolean', default: false },
  },
});

async function answer(path: string, body?: object): Promise<unknown> {
  const response = await request(`${values.gateway}${path}`, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(body === undefined
      ? {}
      : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const text: unknown = await response.body.json();
  if (response.statusCode === 200) return text;
  throw Problem.fromBody(text) ?? new Error(`${path} answered ${response.statusCode}`);
}

try {
  const check = ConsistencyCheckReply.parse(await answer('/v1/consistency/check', { repair: values.repair }));
  const report = ConsistencyReport.parse(await answer('/v1/consistency'));
  process.stdout.write(`${verdictLines(check, report).join('\n')}\n`);
  process.exitCode = check.consistent ? 0 : 1;
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 2;
}
