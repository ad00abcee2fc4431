import { describe } from 'vitest';
import { itSwitchesToAStandbyThatWasBehind } from './standby-behind.js';

describe('a switch to a standby that was behind, when the leader dies with the primary', () => {
  itSwitchesToAStandbyThatWasBehind({ leaderDies: true });
});
