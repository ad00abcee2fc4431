import type { LoadedFailoverSettings } from '../failover.config.js';
import { DockerDriver } from './docker-driver.js';
import { HttpDriver } from './http-driver.js';
import { KubernetesDriver } from './kubernetes-driver.js';
import { LocalDriver } from './local-driver.js';
import type { RestartDriver } from './restart-driver.js';

/** `http` for nodes that answer; the other one, as the settings say, for those that do not. */
export function restartDrivers(settings: LoadedFailoverSettings): {
  http: RestartDriver;
  driver: RestartDriver | undefined;
} {
  return { http: new HttpDriver(settings.clusterKey), driver: chosen(settings) };
}

function chosen(settings: LoadedFailoverSettings): RestartDriver | undefined {
  const { recoveryDriver, supervisorAddress, clusterKey } = settings;
  switch (recoveryDriver) {
    case 'none':
      return undefined;
    case 'local':
      return supervisorAddress === undefined ? undefined : new LocalDriver(supervisorAddress, clusterKey);
    case 'docker':
      return new DockerDriver(settings.dockerSocket);
    case 'kubernetes':
      return new KubernetesDriver({
        api: settings.kubernetesApi.replace(/\/$/, ''),
        namespace: settings.kubernetesNamespace,
        credentials: settings.kubernetesCredentials,
      });
  }
}
