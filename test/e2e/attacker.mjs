// Keeps so many requests in parallel for a time, as a process of its own: `node attacker.mjs PORT SECONDS` with the
// requests as JSON lines on stdin, `{method, path, headers, body, bodyBase64}`. Prints how often each status came, as JSON.
import { Agent, request } from 'node:http';
import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';

const [port, seconds] = process.argv.slice(2).map(Number);
const PARALLEL = 100;
// The one who attacks has a machine of its own as a rule.
setPriority(19);

const requests = [];
for await (const line of createInterface(process.stdin)) requests.push(JSON.parse(line));
const bodies = requests.map((it) =>
  it.body === undefined ? undefined : Buffer.from(it.body, it.bodyBase64 ? 'base64' : 'utf8'),
);
const agent = new Agent({ keepAlive: true, maxSockets: PARALLEL });
const statuses = {};
const endMs = performance.now() + seconds * 1_000;
let sent = 0;

function once() {
  const number = sent++ % requests.length;
  const { method = 'GET', path, headers = {} } = requests[number];
  const body = bodies[number];
  return new Promise((resolve) => {
    const note = (status) => {
      statuses[status] = (statuses[status] ?? 0) + 1;
      resolve();
    };
    const length = body === undefined ? {} : { 'content-length': body.length };
    const req = request(
      { port, host: '127.0.0.1', method, path, agent, headers: { ...headers, ...length } },
      (res) => {
        const status = String(res.statusCode);
        // A stream is left when its first words have come.
        if (res.headers['content-type'] === 'text/event-stream') {
          res.on('data', (bytes) => {
            if (bytes.includes('event: bookmark')) res.destroy();
          });
          res.on('close', () => note(status));
          res.on('error', () => undefined);
        } else {
          res.on('error', () => note('cut'));
          res.on('end', () => note(status)).resume();
        }
      },
    );
    req.on('error', (error) => note(error.code ?? 'error'));
    req.end(body);
  });
}

async function client() {
  while (performance.now() < endMs) await once();
}

await Promise.all(Array.from({ length: PARALLEL }, client));
agent.destroy();
process.stdout.write(JSON.stringify(statuses));
process.exit(0);
