import { z } from 'zod';

const Health = z.object({ checks: z.object({ leader: z.object({ ok: z.boolean() }) }) });
const Cluster = z.object({
  nodes: z.array(z.object({ id: z.string(), status: z.string().nullable(), reason: z.string().nullish() })),
});

/** An answer of a gateway: status and parsed body; undefined when nobody answered. */
export type GatewayAnswer = { status: number; body: unknown } | undefined;

/** What is missing. Without what is not `needed` the cluster serves, with less redundancy than it is meant to have. */
export interface Missing {
  what: string;
  needed: boolean;
}

/** Reasons for which an operator, or the recovery, keeps a node out: nothing to wait for. */
const KEPT_OUT = new Set(['draining', 'quarantined']);

/**
 * What a started cluster still waits for; undefined when it is ready. Ready means that a first publish succeeds and that
 * every node answers reads with the present state: a leader is confirmed by the database, and each node of
 * `expectedNodes` is healthy, which the registry says of nodes that are fresh, in sync and verified.
 */
export function waitsFor(
  health: GatewayAnswer,
  cluster: GatewayAnswer,
  expectedNodes: readonly string[],
): Missing | undefined {
  const needed = (what: string): Missing => ({ what, needed: true });
  if (health === undefined) return needed('the gateway does not answer');
  if (health.status !== 200) {
    return needed(`the gateway answers ${health.status} ${JSON.stringify(health.body)}`);
  }
  const seen = Health.safeParse(health.body);
  if (!seen.success || !seen.data.checks.leader.ok) return needed('no leader is confirmed');
  const nodes = Cluster.safeParse(cluster?.body);
  if (cluster?.status !== 200 || !nodes.success) return needed('the gateway does not show the cluster');
  for (const id of expectedNodes) {
    const node = nodes.data.nodes.find((one) => one.id === id);
    if (node === undefined) return { what: `${id} is not known yet`, needed: false };
    if (node.status === 'healthy' || KEPT_OUT.has(node.reason ?? '')) continue;
    const status = `${node.status ?? 'not registered'}${node.reason ? ` (${node.reason})` : ''}`;
    return { what: `${id} is ${status}`, needed: false };
  }
  return undefined;
}
