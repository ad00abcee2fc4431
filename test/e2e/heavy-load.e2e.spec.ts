import { describe, it } from 'vitest';
import { expectCalmUnderLoad } from './heavy-load.js';

describe('report 11: a machine with more work than processors', () => {
  it('deposes no leader and fails no request in a minute', () => expectCalmUnderLoad(60));
});
