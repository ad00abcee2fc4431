import { parseEnv } from 'node:util';
import { expect, it } from 'vitest';
import { environmentFile } from './environment-file.js';

it('is read back by Node as it was, with spaces, hashes and quotes', () => {
  const variables = {
    HOLDFAST_DATA_DIR: '/home/a user/#1/.holdfast',
    HOLDFAST_NODES: 'node-1=http://h:1,node-2=http://h:2',
    HOLDFAST_NODE_METADATA: "owner=o'hara",
    HOLDFAST_LOG_LEVEL: 'info',
  };
  expect(parseEnv(environmentFile('node-1', 'node x.js', variables))).toEqual(variables);
});
