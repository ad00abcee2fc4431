export {
  endsWithin,
  type LaunchOptions,
  type ServerExit,
  ServerFailed,
  type ServerProcess,
} from './child-server.js';
export { freePort, freePorts, isPortFree } from './free-port.js';
export { ensurePrograms, type InstallOptions } from './install.js';
export { keptSecret, newSecret } from './kept-secret.js';
export { type NatsLogin, type NatsServer, natsPermissions, type StartNats, startNats } from './nats.js';
export { type PostgresServer, type StartPostgres, startPostgres } from './postgres.js';
export { processIdentity } from './process-identity.js';
export { findProgram, howToInstall, missingPrograms, ProgramMissing, type ProgramName } from './programs.js';
export { type RedisServer, type StartRedis, startRedis } from './redis.js';
