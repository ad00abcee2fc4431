export { freePort } from '#libs/embedded-servers';
export { CaptureProxy } from './capture/capture-proxy.js';
export { SecretSearch } from './capture/secret-search.js';
export { type Answer, ApiClient, problemCode } from './clients/api-client.js';
export { signing } from './clients/signing.js';
export { type SseEvent, SseParser } from './clients/sse.js';
export { transportFailure } from './clients/transport-error.js';
export { ensureBuilt, ROOT } from './cluster/build.js';
export { Cluster, type ClusterView } from './cluster/cluster.js';
export { HandNode } from './cluster/hand-node.js';
export { KeptDown } from './cluster/keep-down.js';
export { loggedErrors, logTails } from './cluster/logs.js';
export { postgresClient } from './cluster/postgres-client.js';
export {
  commandOf,
  cpuSeconds,
  isAlive,
  processesOf,
  processTree,
  pssBytes,
  rssBytes,
} from './cluster/processes.js';
export { ProxiedNode } from './cluster/proxied-node.js';
export { startReaper } from './cluster/reaper.js';
export { pause, until } from './cluster/wait.js';
export { FaultProxy } from './fault-proxy.js';
export { checkHistory, describeViolations } from './history/check.js';
export { History, type LoggedChange, type WatchEvent } from './history/record.js';
export type { Violation } from './history/violation.js';
export { describeFailures, type Failure } from './workload/failures.js';
export { Workload, type WorkloadOptions } from './workload/workload.js';
