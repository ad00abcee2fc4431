import { runService } from '#libs/service';
import { syncApp } from './sync.app.js';
import { loadSyncSettings } from './sync.config.js';

await runService(syncApp(loadSyncSettings()));
