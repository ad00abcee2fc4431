import { describe, it } from 'vitest';
import { expectCalmUnderLoad } from './heavy-load.js';

const MINUTES = Number(process.env.HEAVY_LOAD_MINUTES ?? 10);

describe('report 11: a machine with more work than processors', () => {
  it(`deposes no leader and fails no request in ${MINUTES} minutes`, () => expectCalmUnderLoad(MINUTES * 60));
});
