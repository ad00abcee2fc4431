import { runService } from '#libs/service';
import { configNodeApp } from './config-node.app.js';
import { loadNodeSettings } from './config-node.config.js';

await runService(await configNodeApp(loadNodeSettings()));
