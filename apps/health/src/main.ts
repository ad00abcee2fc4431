import { runService } from '#libs/service';
import { healthApp } from './health.app.js';
import { loadHealthSettings } from './health.config.js';

await runService(healthApp(loadHealthSettings()));
