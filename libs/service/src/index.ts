export { Admission, type AdmissionLimits } from './admission.js';
export { requestIdOf } from './http.js';
export { ProblemFilter, sendProblem, toProblem } from './problem-filter.js';
export { PublicGuard, type PublicGuardSettings } from './public-guard.js';
export { RestartEndpoint } from './restart-endpoint.js';
export { RouteTable } from './route-table.js';
export {
  HTTP_SERVER,
  REQUEST_TIMEOUT_MS,
  type RunningService,
  runService,
  type ServiceOptions,
  startService,
} from './run-service.js';
export { announceReady, crashOnUncaught, stopOnSignals } from './shutdown.js';
