import { runService } from '#libs/service';
import { consistencyApp } from './consistency.app.js';
import { loadConsistencySettings } from './consistency.config.js';

await runService(consistencyApp(loadConsistencySettings()));
