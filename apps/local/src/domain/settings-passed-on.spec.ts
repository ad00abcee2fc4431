import { describe, expect, it } from 'vitest';
import { inheritedVariables, splitVariables } from './settings-passed-on.js';

describe('splitVariables', () => {
  it('passes on what tunes a process, keeps its own, and names what means nothing here', () => {
    const split = splitVariables({
      HOLDFAST_LOG_LEVEL: 'debug',
      HOLDFAST_MAX_LOST_TAIL: '5',
      HOLDFAST_HOME: '/x',
      HOLDFAST_PORT: '9000',
      HOLDFAST_POSTGRES_HOSTS: 'db:5432',
      HOLDFAST_CLUSTER_KEY_FILE: '/key',
      HOME: '/root',
    });
    expect(split.passedOn).toEqual({ HOLDFAST_LOG_LEVEL: 'debug', HOLDFAST_MAX_LOST_TAIL: '5' });
    expect(split.ignored).toEqual(['HOLDFAST_POSTGRES_HOSTS', 'HOLDFAST_CLUSTER_KEY_FILE']);
  });
});

describe('inheritedVariables', () => {
  it('leaves behind what would change how a child runs', () => {
    expect(
      inheritedVariables({ PATH: '/bin', TZ: 'UTC', PGOPTIONS: '-c x=y', NODE_OPTIONS: '--inspect' }),
    ).toEqual({
      PATH: '/bin',
      TZ: 'UTC',
    });
  });
});
