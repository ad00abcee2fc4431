import { type ChildProcess, fork, spawn } from 'node:child_process';
import { join } from 'node:path';
import { ApiClient, type Cluster, freePort, ROOT, until } from '#libs/testing';

export interface Started {
  child: ChildProcess;
  port: number;
}

/** A bare server that answers with the bytes and headers which the node gives for this path. */
export async function startBareServer(nodePort: number, path: string): Promise<Started> {
  const api = new ApiClient(`http://127.0.0.1:${nodePort}`, 1);
  const { headers, body } = await api.request('GET', path);
  await api.close();
  const { connection: _connection, 'keep-alive': _keepAlive, date: _date, ...own } = headers;
  const child = fork(
    join(import.meta.dirname, 'bare-server.js'),
    [JSON.stringify({ headers: own, body: body.toString('base64') })],
    { execArgv: [] },
  );
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message) => resolve(Number(message)));
    child.once('exit', () => reject(new Error('the bare server did not start')));
  });
  return { child, port };
}

/** One gateway process by itself: the two of the cluster share their load. */
export async function startGateway(cluster: Cluster, path: string): Promise<Started> {
  const port = await freePort();
  const child = spawn(process.execPath, ['--enable-source-maps', 'dist/apps/gateway/src/main.js'], {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      ...cluster.environment('gateway-1'),
      HOLDFAST_INSTANCE_ID: 'gateway-bench',
      HOLDFAST_PORT: String(port),
      HOLDFAST_ADDRESS: `http://127.0.0.1:${port}`,
    },
    stdio: 'ignore',
  });
  const api = new ApiClient(`http://127.0.0.1:${port}`, 1);
  await until('the gateway serves', async () => (await api.request('GET', path)).status === 200, 20_000);
  await api.close();
  return { child, port };
}
