import { Client } from 'pg';
import type { Cluster } from './cluster.js';

/** A connection to the cluster's database with the role of its nodes, who own the schema `config`. */
export async function postgresClient(cluster: Cluster): Promise<Client> {
  const env = cluster.environment('node-1');
  const [host, port] = String(env.HOLDFAST_POSTGRES_HOSTS).split(':');
  const client = new Client({
    host: host ?? '',
    port: Number(port),
    database: env.HOLDFAST_POSTGRES_DATABASE ?? 'holdfast',
    user: env.HOLDFAST_POSTGRES_USER ?? 'holdfast_node',
    password: env.HOLDFAST_POSTGRES_PASSWORD ?? '',
  });
  await client.connect();
  return client;
}
