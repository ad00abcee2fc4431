import { runService } from '#libs/service';
import { failoverApp } from './failover.app.js';
import { loadFailoverSettings } from './failover.config.js';

await runService(failoverApp(loadFailoverSettings()));
