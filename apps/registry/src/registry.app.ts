import { controlService } from '#libs/control-service';
import { deriveKey } from '#libs/kernel';
import { EventOutbox } from '#libs/messaging';
import type { Logger } from '#libs/observability';
import { RedisCache } from '#libs/redis';
import type { ServiceOptions } from '#libs/service';
import { EvidenceIntake } from './evidence-intake.js';
import { type loadRegistrySettings, registrySettings } from './registry.config.js';
import { registryModule } from './registry.module.js';
import { RegistryService } from './registry.service.js';

type LoadedRegistrySettings = ReturnType<typeof loadRegistrySettings>;

/** One process of the registry. */
export function registryApp(settings: LoadedRegistrySettings): ServiceOptions {
  return controlService({ name: 'registry', needsBus: true }, settings, (parts) => {
    const redis = connectRedis(settings, parts.instanceId, parts.logger);
    parts.readiness.add('redis', () => ({ ok: redis.available }), { required: false });
    return {
      module: registryModule({
        ...parts,
        redis,
        settings: registrySettings(settings.preset),
        subjectPrefix: settings.subjectPrefix,
      }),
      ping: (app) => ({ members: app?.get(RegistryService).list({}).length ?? 0 }),
      start: (app) => {
        app.get(RegistryService).start();
        app.get(EvidenceIntake).start();
      },
      stop: async (app) => {
        await app.get(EvidenceIntake).stop();
        await app.get(RegistryService).stop();
        await app.get(EventOutbox).stop();
      },
      close: () => redis.close(),
    };
  });
}

function connectRedis(settings: LoadedRegistrySettings, connectionName: string, logger: Logger): RedisCache {
  return RedisCache.connect({
    host: settings.redisHost,
    port: settings.redisPort,
    password: settings.redisPassword,
    sentinels: settings.redisSentinels,
    masterName: settings.redisMaster,
    connectionName,
    macKey: deriveKey(settings.clusterKey, 'redis-mac'),
    onForged: (key) => logger.warn({ key }, 'removed a cache entry without a valid MAC'),
    onError: (error) => logger.debug({ reason: error.message }, 'redis connection error'),
  });
}
