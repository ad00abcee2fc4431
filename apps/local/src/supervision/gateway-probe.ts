import { get } from 'node:http';

/** One GET on its own connection, so that any of the gateways may answer. Undefined when nobody does. */
export function fetchJson(url: string): Promise<{ status: number; body: unknown } | undefined> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: 2_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => resolve(undefined));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: parse(Buffer.concat(chunks).toString()) }),
      );
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(undefined));
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a page of somebody else: then the status is all there is to know
  }
}

export async function leaderIdOf(address: string): Promise<string | undefined> {
  const answer = await fetchJson(`${address}/v1/cluster`);
  const { body } = answer ?? {};
  if (typeof body !== 'object' || body === null || !('leaderId' in body)) return undefined;
  return typeof body.leaderId === 'string' ? body.leaderId : undefined;
}
