import type { Metrics } from '#libs/observability';
import type { Candidate } from '../domain/nodes/candidate.js';
import { NODE_RANKS } from '../domain/nodes/node-rank.js';
import type { NodeTable } from '../domain/nodes/node-table.js';
import type { Upstreams } from './upstreams.js';

/** What goes to which node. Counted at the nodes' own records, and read from there when it is scraped. */
export function registerUpstreamMetrics(metrics: Metrics, table: NodeTable, upstreams: Upstreams): void {
  const candidates = (): Candidate[] => table.standings().map(([candidate]) => candidate);
  metrics.gauge('gateway_upstream_active', 'Requests under way at a node', ['node'], (gauge) => {
    gauge.reset();
    for (const { id, active } of candidates()) gauge.set({ node: id }, active);
  });
  metrics.gauge('gateway_upstream_follows', 'Logs that are followed at a node', ['node'], (gauge) => {
    gauge.reset();
    for (const { id, follows } of candidates()) gauge.set({ node: id }, follows);
  });
  metrics.gauge(
    'gateway_upstream_share',
    'Share of the requests that a node is meant to get among its equals: its weight, less while it starts slowly',
    ['node'],
    (gauge) => {
      gauge.reset();
      for (const { id, weight, ramp } of candidates()) gauge.set({ node: id }, (weight * ramp) / 1_000);
    },
  );
  metrics.counter(
    'gateway_upstream_requests_total',
    'Requests sent to a node, by its standing when it was chosen',
    ['node', 'status_at_pick'],
    (counter) => {
      for (const { id, requests } of candidates()) {
        for (const standing of NODE_RANKS) {
          if (requests[standing] > 0) counter.inc({ node: id, status_at_pick: standing }, requests[standing]);
        }
      }
    },
  );
  metrics.gauge(
    'gateway_upstream_connections',
    'Connections to a node: open, free for a request, and requests that wait for one',
    ['node', 'state'],
    (gauge) => {
      gauge.reset();
      for (const { id, address } of candidates()) {
        for (const [state, count] of Object.entries(upstreams.connections(address))) {
          gauge.set({ node: id, state }, count);
        }
      }
    },
  );
}
