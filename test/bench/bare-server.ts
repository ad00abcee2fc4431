import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The least that can answer: node:http, the same bytes and headers every time. A process of its own. */
const { headers, body } = JSON.parse(process.argv[2] ?? '') as {
  headers: Record<string, string>;
  body: string;
};
const bytes = Buffer.from(body, 'base64');
const server = createServer((_request, response) => {
  response.writeHead(200, headers);
  response.end(bytes);
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit(0));
