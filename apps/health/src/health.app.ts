import { controlService } from '#libs/control-service';
import { systemRng } from '#libs/kernel';
import { EventOutbox } from '#libs/messaging';
import type { ServiceOptions } from '#libs/service';
import { healthSettings, type loadHealthSettings } from './health.config.js';
import { healthModule } from './health.module.js';
import { HealthReports } from './health.reports.js';
import { HealthService } from './health.service.js';

/** One process of the health service. */
export function healthApp(settings: ReturnType<typeof loadHealthSettings>): ServiceOptions {
  return controlService({ name: 'health', poolSize: 2 }, settings, (parts) => ({
    module: healthModule({
      ...parts,
      rng: systemRng,
      settings: healthSettings(settings.preset, parts.instanceId),
    }),
    ping: (app) => ({ probing: app?.get(HealthService).probing ?? 0 }),
    start: async (app) => {
      app.get(HealthService).start(settings.nodes);
      app.get(HealthReports).start();
      await parts.bus.subscribed();
    },
    stop: async (app) => {
      app.get(HealthReports).stop();
      await app.get(HealthService).stop();
      await app.get(EventOutbox).stop();
    },
  }));
}
