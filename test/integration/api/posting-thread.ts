import { Worker } from 'node:worker_threads';

/** Runs as it is: what a thread of its own sends costs the thread under test nothing. */
const POSTS = `
const { request } = require('node:http');
const { parentPort, workerData } = require('node:worker_threads');
const { url, texts, padTo } = workerData;
const post = (text) => new Promise((resolve) => {
  const body = Buffer.from(text[0] + ' '.repeat(padTo - text.length) + text.slice(1));
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  const asked = request(url, { method: 'POST', headers }, (answer) => {
    answer.resume().on('end', () => resolve(answer.statusCode));
  });
  asked.on('error', () => resolve(0));
  asked.end(body);
});
Promise.all(texts.map(post)).then((statuses) => parentPort.postMessage(statuses));
`;

/**
 * Posts all JSON texts at once, from another thread, each padded with spaces to so many bytes. The statuses of the
 * answers; 0 = the connection broke.
 */
export async function postFromThread(
  url: string,
  texts: readonly string[],
  padTo: number,
): Promise<number[]> {
  const thread = new Worker(POSTS, { eval: true, workerData: { url, texts, padTo } });
  try {
    return await new Promise((resolve, reject) => {
      thread.once('message', resolve);
      thread.once('error', reject);
    });
  } finally {
    await thread.terminate();
  }
}
