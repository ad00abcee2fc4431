import { describe, expect, it } from 'vitest';
import { asyncApiDocument } from './asyncapi.js';
import { EVENTS, REQUESTS } from './subjects.js';

interface Document {
  channels: Record<
    string,
    { messages: Record<string, { payload: { type?: string; anyOf?: unknown; oneOf?: unknown } }> }
  >;
  operations: Record<string, { channel: { $ref: string } }>;
}

describe('asyncApiDocument', () => {
  const document = JSON.parse(JSON.stringify(asyncApiDocument('1.2.3'))) as Document;

  it('has a channel for every fact and question, each with a schema', () => {
    for (const subject of [...Object.keys(EVENTS), ...Object.keys(REQUESTS)]) {
      const channel = document.channels[subject] ?? document.channels[`${subject}.{nodeId}`];
      expect(channel, subject).toBeDefined();
      for (const { payload } of Object.values(channel?.messages ?? {})) {
        expect(payload.type ?? payload.anyOf ?? payload.oneOf, subject).toBeDefined();
      }
    }
  });

  it('refers only to channels that it has', () => {
    for (const operation of Object.values(document.operations)) {
      const name = operation.channel.$ref.slice('#/channels/'.length).replaceAll('~1', '/');
      expect(document.channels).toHaveProperty([name]);
    }
  });
});
