import { controlService } from '#libs/control-service';
import type { ServiceOptions } from '#libs/service';
import { type loadSyncSettings, syncSettings } from './sync.config.js';
import { syncModule } from './sync.module.js';
import { SyncService } from './sync.service.js';

/** Every task reads a page ahead of the one that it sends. */
const POOL_SIZE = 4;

/** One process of the sync service. */
export function syncApp(settings: ReturnType<typeof loadSyncSettings>): ServiceOptions {
  return controlService({ name: 'sync', poolSize: POOL_SIZE }, settings, (parts) => ({
    module: syncModule({ ...parts, settings: syncSettings(settings, parts.instanceId) }),
    ping: (app) => ({ head: app?.get(SyncService).head ?? 0 }),
    start: (app) => app.get(SyncService).start(settings.nodes),
    stop: (app) => app.get(SyncService).stop(),
  }));
}
