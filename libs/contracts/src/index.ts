export { accepts } from './accept.js';
export { asyncApiDocument } from './asyncapi.js';
export {
  ChainHex,
  type Change,
  changeFromWire,
  changeToWire,
  type DeleteOperation,
  type Operation,
  type PutOperation,
  valueFromJson,
  valueToJson,
  WireChange,
  WireOperation,
} from './change.js';
export { CONTENT_TYPES, type ContentType, parseContentType } from './content-type.js';
export { ERRORS, type ErrorCode, errorKind, isErrorCode } from './errors.js';
export { HEADERS } from './headers.js';
export {
  CheckedState,
  CheckTransition,
  Consecutive,
  HealthBody,
  HealthChanged,
  HealthListReply,
  HealthReport,
  HealthStanding,
  PROBE_RESULTS,
  Probed,
  ProbeResult,
  UNANSWERED,
} from './health.js';
export { isReservedNamespace, isStorableText, keyFault, namespaceFault } from './identifiers.js';
export {
  DIGEST_BUCKETS_BYTES,
  DigestKeysReply,
  DigestReply,
  FollowLine,
  NodePing,
  PauseReply,
  PauseRequest,
  SyncReply,
  SyncRequest,
  VERIFICATIONS,
  type Verified,
} from './internal-api.js';
export { LIMITS } from './limits.js';
export {
  Incarnation,
  Metadata,
  NODE_ROLES,
  NODE_STATUSES,
  NodeAddress,
  NodeId,
  NodeInfo,
  type NodeRole,
  type NodeStatus,
  STATUS_REASONS,
  type StatusReason,
} from './node.js';
export { openApiDocument } from './openapi/document.js';
export { QUERIES } from './openapi/parameters.js';
export { parseQuery } from './openapi/parse-query.js';
export { ROUTES, type Route, routerPath } from './openapi/routes.js';
export { PROBLEM_CONTENT_TYPE, Problem, type ProblemBody } from './problem.js';
export {
  ChangeSetRequest,
  type ChangeSetResult,
  type DeleteResult,
  type PutResult,
  RollbackRequest,
} from './public-api.js';
export {
  DrainRequest,
  HoldReply,
  HoldsReply,
  NodeHold,
  OperatorRequest,
  RECOVERY_STATES,
  RecoveriesReply,
  RecoveriesRequest,
  type RecoveryState,
  RecoveryStep,
  ReleaseRequest,
  RestartReply,
  RestartRequest,
} from './recovery.js';
export {
  AlertRaised,
  ConfigChanged,
  DeregisterRequest,
  ElectionsReply,
  ElectionsRequest,
  ElectionTimings,
  FACT_FAMILIES,
  FACTS,
  type FactPayload,
  type FactSubject,
  GetNodeReply,
  GetNodeRequest,
  HandoverReply,
  HandoverRequest,
  Head,
  LeaderElected,
  LeaderLost,
  ListReply,
  ListRequest,
  NodeDeregistered,
  NodeHeartbeat,
  NodeRegistered,
  NodeStatusChanged,
  NodeTransition,
  NodeVerdict,
  namespaceToken,
  PollReply,
  PollRequest,
  PullReply,
  PullRequest,
  QUESTIONS,
  type QuestionReply,
  type QuestionRequest,
  type QuestionSubject,
  RegisterReply,
  RegisterRequest,
  SyncChanges,
  SyncHead,
  SyncLagging,
  VERDICT_REASONS,
  type VerdictReason,
  WitnessReply,
  WitnessRequest,
} from './subjects.js';
export {
  BALANCING_STRATEGIES,
  type BalancingStrategy,
  GatewayBalancing,
  isSystemKey,
  parseSystemValue,
  SYSTEM_KEYS,
  SYSTEM_NAMESPACE,
  type SystemKey,
} from './system-keys.js';
