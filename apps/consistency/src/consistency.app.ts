import { controlService } from '#libs/control-service';
import { EventOutbox } from '#libs/messaging';
import type { ServiceOptions } from '#libs/service';
import { consistencySettings, type loadConsistencySettings } from './consistency.config.js';
import { consistencyModule } from './consistency.module.js';
import { ConsistencyService } from './consistency.service.js';
import { DigestClient } from './digest-client.js';

/** One process of the consistency service. */
export function consistencyApp(settings: ReturnType<typeof loadConsistencySettings>): ServiceOptions {
  return controlService({ name: 'consistency', poolSize: 3 }, settings, (parts) => ({
    module: consistencyModule({ ...parts, settings: consistencySettings(settings, parts.instanceId) }),
    ping: (app) => ({ nodes: app?.get(ConsistencyService).nodes ?? 0 }),
    start: (app) => app.get(ConsistencyService).start(settings.nodes),
    stop: async (app) => {
      await app.get(ConsistencyService).stop();
      await app.get(EventOutbox).stop();
      await app.get(DigestClient).close();
    },
  }));
}
