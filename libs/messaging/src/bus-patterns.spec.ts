import type { BaseRpcContext } from '@nestjs/microservices';
import { describe, expect, it } from 'vitest';
import type { NodeHeartbeat, SyncReport } from '#libs/contracts';
import { Answers, OnEvent } from './bus-patterns.js';

const EMPTY: SyncReport = { head: 0, instances: [], nodes: [] };

class Listening {
  @OnEvent('node.heartbeat', { members: true })
  heartbeat(beat: NodeHeartbeat, _context: BaseRpcContext): string {
    return beat.nodeId;
  }

  @Answers('sync.report', { queue: null })
  report(): SyncReport {
    return EMPTY;
  }

  // @ts-expect-error the event has another payload
  @OnEvent('node.heartbeat')
  misread(_beat: { weight: string }): void {}

  // @ts-expect-error there is no such event
  @OnEvent('node.heartbeats')
  misspelt(): void {}

  // @ts-expect-error the reply has another shape
  @Answers('sync.report')
  misanswered(): { nodes: number } {
    return { nodes: 1 };
  }
}

describe('handlers of the bus', () => {
  it('carry the subject and its options as Nest reads them', () => {
    const of = (name: keyof Listening) =>
      Object.fromEntries(
        Reflect.getMetadataKeys(Listening.prototype[name]).map((key) => [
          key,
          Reflect.getMetadata(key, Listening.prototype[name]) as unknown,
        ]),
      );
    expect(of('heartbeat')).toMatchObject({
      'microservices:pattern': ['node.heartbeat'],
      'microservices:pattern_extras': { members: true },
    });
    expect(of('report')).toMatchObject({
      'microservices:pattern': ['sync.report'],
      'microservices:pattern_extras': { queue: null },
    });
  });
});
