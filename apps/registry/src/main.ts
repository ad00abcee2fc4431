import { runService } from '#libs/service';
import { registryApp } from './registry.app.js';
import { loadRegistrySettings } from './registry.config.js';

await runService(registryApp(loadRegistrySettings()));
