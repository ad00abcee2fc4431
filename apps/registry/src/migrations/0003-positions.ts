/** The leader of the nodes removes old history only as far as all of them have applied it. */
export const migration0003 = `
grant usage on schema registry to holdfast_node;
grant select (node_id, kind, version, last_heartbeat_at, left_at) on registry.nodes to holdfast_node;
`;
