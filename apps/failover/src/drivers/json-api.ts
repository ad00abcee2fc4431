import { type Dispatcher, request } from 'undici';
import { z } from 'zod';
import type { RequestSigner } from '#libs/cluster-auth';
import { crashOnDefect, messageOf } from '#libs/kernel';
import type { RestartResult } from './restart-driver.js';

export interface ApiAnswer {
  status: number;
  /** Undefined when it is not JSON. */
  body: unknown;
}

export interface ApiCall {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  body?: unknown;
  headers?: Record<string, string>;
  timeoutMs: number;
}

const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** How Docker, Kubernetes and Holdfast itself say what is wrong. */
const Complaint = z.object({ message: z.string().optional(), detail: z.string().optional() });

/** Somebody's JSON interface over HTTP: every call and every answer is bounded. */
export class JsonApi {
  constructor(
    private readonly origin: string,
    private readonly dispatcher: Dispatcher,
    /** Of calls to processes of the cluster. */
    private readonly signer?: RequestSigner,
  ) {}

  async call({ method, path, body, headers, timeoutMs }: ApiCall, signal: AbortSignal): Promise<ApiAnswer> {
    const url = `${this.origin}${path}`;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const plain = { accept: 'application/json', 'content-type': 'application/json', ...headers };
    const answer = await request(url, {
      method,
      dispatcher: this.dispatcher,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      headers: this.signer?.signedHeaders(url, { method, headers: plain, body: text }) ?? plain,
      ...(text === undefined ? {} : { body: text }),
    });
    return { status: answer.statusCode, body: parse(await bounded(answer.body)) };
  }

  close(): Promise<void> {
    return this.dispatcher.destroy();
  }
}

export function isSuccess({ status }: ApiAnswer): boolean {
  return status >= 200 && status < 300;
}

export function refusedBy(who: string, { status, body }: ApiAnswer): RestartResult {
  const said = Complaint.safeParse(body);
  const why = said.success ? (said.data.detail ?? said.data.message) : undefined;
  return { outcome: 'refused', detail: `${who} answered ${status}${why === undefined ? '' : `: ${why}`}` };
}

/** Whatever goes wrong on the way: whether it was done is not known. */
export async function orUnreachable(work: () => Promise<RestartResult>): Promise<RestartResult> {
  try {
    return await work();
  } catch (error) {
    crashOnDefect(error);
    return { outcome: 'unreachable', detail: messageOf(error) };
  }
}

async function bounded(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) throw new Error(`an answer of more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // an empty answer, or one of a proxy: the status says what there is to know
  }
}
