import { controlService } from '#libs/control-service';
import { EventOutbox } from '#libs/messaging';
import type { ServiceOptions } from '#libs/service';
import { restartDrivers } from './drivers/restart-drivers.js';
import { failoverSettings, type LoadedFailoverSettings } from './failover.config.js';
import { failoverModule } from './failover.module.js';
import { FailoverService } from './failover.service.js';
import { HttpCalls } from './nodes/http-calls.js';

/** One process of the failover service. */
export function failoverApp(settings: LoadedFailoverSettings): ServiceOptions {
  return controlService({ name: 'failover' }, settings, (parts) => ({
    module: failoverModule({
      ...parts,
      settings: failoverSettings(settings, parts.instanceId),
      drivers: restartDrivers(settings),
    }),
    start: (app) => {
      const service = app.get(FailoverService);
      service.start(settings.nodes);
      parts.readiness.add('tables', () => ({ ok: service.ready }), { required: false });
    },
    stop: async (app) => {
      await app.get(FailoverService).stop();
      await app.get(EventOutbox).stop();
    },
    close: (app) => app?.get(HttpCalls).close(),
  }));
}
