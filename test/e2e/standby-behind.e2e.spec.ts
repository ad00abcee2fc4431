import { describe } from 'vitest';
import { itSwitchesToAStandbyThatWasBehind } from './standby-behind.js';

describe('a switch to a standby that was behind', () => {
  itSwitchesToAStandbyThatWasBehind({ leaderDies: false });
});
