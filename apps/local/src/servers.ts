import { startNats, startPostgres, startRedis } from '#libs/embedded-servers';
import type { ClusterState } from './cluster-state.js';
import { prepareDatabase } from './database.js';
import type { ServerName } from './domain/process-plan.js';
import type { HomeFolder } from './files/home-folder.js';
import type { Children } from './supervision/children.js';
import type { Launch, LaunchHooks } from './supervision/supervised.js';

export interface ServerAccess {
  nats: { user: string; password: string };
  redis: { password: string };
}

/** Starts Postgres, NATS and Redis side by side and prepares the database. Undefined when told to stop meanwhile. */
export async function startServers(
  children: Children,
  home: HomeFolder,
  state: ClusterState,
  subjectPrefix: string,
): Promise<ServerAccess | undefined> {
  const found: { nats?: ServerAccess['nats']; redis?: ServerAccess['redis'] } = {};
  const common = (name: ServerName, hooks: LaunchHooks) => ({
    port: state.ports[name],
    onOutput: (chunk: Buffer) => children.logOf(name).write(chunk),
    ...hooks,
  });
  let databasePrepared = false;
  const launches: Record<ServerName, Launch> = {
    postgres: async (hooks) => {
      const server = await startPostgres({ dir: home.postgres, ...common('postgres', hooks) });
      if (databasePrepared) return server;
      try {
        await prepareDatabase(server, state.databasePasswords);
      } catch (error) {
        await server.stop();
        throw error;
      }
      databasePrepared = true;
      return server;
    },
    nats: async (hooks) => {
      const server = await startNats({
        dir: home.nats,
        secretsDir: home.secrets,
        subjectPrefix,
        ...common('nats', hooks),
      });
      found.nats = server;
      return server;
    },
    redis: async (hooks) => {
      const server = await startRedis({ dir: home.redis, ...common('redis', hooks) });
      found.redis = server;
      return server;
    },
  };
  const starts = Object.entries(launches).map(([name, launch]) =>
    children.supervise(name, launch, { firstStartMustSucceed: true }),
  );
  await Promise.all(starts);
  const { nats, redis } = found;
  return nats && redis ? { nats, redis } : undefined;
}
