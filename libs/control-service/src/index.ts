export {
  CONTROL_SETTINGS,
  type ControlParts,
  type ControlService,
  type ControlSettings,
  controlService,
  loadControlSettings,
} from './control-service.js';
export { outboxTable, PostgresOutbox } from './postgres-outbox.js';
