import { runService } from '#libs/service';
import { gatewayApp } from './gateway.app.js';
import { loadGatewaySettings } from './gateway.config.js';

await runService(gatewayApp(loadGatewaySettings()));
