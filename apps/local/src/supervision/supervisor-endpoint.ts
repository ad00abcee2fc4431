import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { ClusterProofs, OwnAuthorities } from '#libs/cluster-auth';
import { PROBLEM_CONTENT_TYPE, Problem } from '#libs/contracts';
import { withTimeout } from '#libs/kernel';
import type { ProcessKind } from '../domain/process-plan.js';
import type { ProcessEnd } from './supervised.js';

/** What may be asked for, and by whom: `planned` by people who restart a cluster, `by-force` by recovery. */
const RestartBody = z.strictObject({ how: z.enum(['planned', 'by-force']) });
export type RestartHow = z.infer<typeof RestartBody>['how'];

export interface ProcessView {
  name: string;
  kind: ProcessKind;
  pid: number | null;
  ready: boolean;
  /** How often it was started again. */
  restarts: number;
}

export interface SupervisedProcesses {
  /** Where clients reach the cluster. */
  readonly address: string;
  processes(): ProcessView[];
  restart(name: string, how: RestartHow): Promise<ProcessEnd | 'unknown'>;
  /** A restart that was promised went wrong. */
  reportFailure(name: string, error: unknown): void;
}

const MAX_BODY_BYTES = 4_096;
const BODY_WITHIN_MS = 2_000;

/**
 * The endpoint of the supervisor, on loopback and for holders of the cluster's secret: it restarts a process when asked to, and
 * lists the processes for `npm run rolling-restart`. It tells nobody that one died: finding that out is failover's,
 * which must work as well for a node that no supervisor runs.
 */
export class SupervisorEndpoint {
  private constructor(private readonly server: Server) {}

  static async open(
    port: number,
    clusterKey: string,
    processes: SupervisedProcesses,
  ): Promise<SupervisorEndpoint> {
    const proofs = new ClusterProofs(clusterKey, new OwnAuthorities(new Set()));
    const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000 }, (request, response) => {
      answer(request, proofs, processes).then(
        ({ status, body }) => send(response, status, 'application/json', body),
        (error: unknown) => {
          const problem = error instanceof Problem ? error : new Problem('internal', String(error));
          send(response, problem.status, PROBLEM_CONTENT_TYPE, problem.toBody(request.url));
        },
      );
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        server.removeListener('error', reject);
        resolve();
      });
    });
    return new SupervisorEndpoint(server);
  }

  get port(): number {
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

async function answer(
  request: IncomingMessage,
  proofs: ClusterProofs,
  processes: SupervisedProcesses,
): Promise<{ status: number; body: unknown }> {
  const fault = proofs.memberFault(request);
  if (fault !== undefined) throw fault;
  const [, area, name, verb, ...rest] = (request.url ?? '').split('/');
  if (area !== 'processes' || rest.length > 0) throw new Problem('not-found', 'there is nothing here');
  if (name === undefined) {
    allow(request, 'GET');
    return { status: 200, body: { gateway: processes.address, processes: processes.processes() } };
  }
  if (verb !== 'restart') throw new Problem('not-found', 'there is nothing here');
  allow(request, 'POST');
  const text = await withTimeout(textOf(request), BODY_WITHIN_MS, 'the body');
  const bodyFault = proofs.bodyFault(request, text);
  if (bodyFault !== undefined) throw bodyFault;
  const { how } = bodyOf(text);
  return { status: 202, body: { outcome: await restart(processes, name, how) } };
}

/** An end by force is waited for; an orderly one takes its time, and shows in the list. */
async function restart(processes: SupervisedProcesses, name: string, how: RestartHow): Promise<string> {
  const known = processes.processes().find((process) => process.name === name);
  if (!known) throw new Problem('node-not-found', `no process ${name} is supervised here`);
  if (how === 'by-force') return processes.restart(name, how);
  if (!known.ready) throw new Problem('cluster-busy', `${name} is not running`);
  processes.restart(name, how).catch((error: unknown) => processes.reportFailure(name, error));
  return 'ending';
}

function allow({ method }: IncomingMessage, allowed: string): void {
  if (method !== allowed) throw new Problem('method-not-allowed', `only ${allowed} is allowed here`);
}

function bodyOf(text: string): z.infer<typeof RestartBody> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new Problem('invalid-request', 'the body is not JSON', {}, { cause });
  }
  const parsed = RestartBody.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new Problem('invalid-field', parsed.error.issues[0]?.message ?? 'not valid');
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) throw new Problem('value-too-large', `at most ${MAX_BODY_BYTES} bytes`);
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, status: number, type: string, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) }).end(text);
}
