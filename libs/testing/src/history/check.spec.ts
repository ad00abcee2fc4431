import { describe, expect, it } from 'vitest';
import { checkHistory } from './check.js';
import { History, type LoggedChange, type ReadRecord, type WatchEvent, type WriteRecord } from './record.js';

const NAMESPACE = 'app';

/** A sound run of four acknowledged puts, `k1 k2 k1 k2`, one every 10 ms, which each test then spoils. */
function soundRun() {
  const history = new History('test');
  const log: LoggedChange[] = [];
  for (let version = 1; version <= 4; version++) {
    const write = put(version, { startedAt: version * 10, endedAt: version * 10 + 5 });
    history.writes.push(write);
    log.push(logged(version, write));
  }
  return { history, log };
}

function put(version: number, more: Partial<WriteRecord> = {}): WriteRecord {
  const key = version % 2 === 1 ? 'k1' : 'k2';
  return {
    client: 'w',
    mark: new History('test').markOf('w', version),
    operations: [{ op: 'put', namespace: NAMESPACE, key, value: `v${version}` }],
    startedAt: 0,
    endedAt: 0,
    outcome: { type: 'ok', version },
    ...more,
  };
}

function logged(version: number, write: WriteRecord): LoggedChange {
  return { version, term: 1, comment: write.mark, operations: write.operations };
}

function read(more: Partial<ReadRecord> & Pick<ReadRecord, 'outcome'>): ReadRecord {
  return {
    client: 'r',
    namespace: NAMESPACE,
    key: 'k1',
    linearizable: false,
    startedAt: 100,
    endedAt: 101,
    ...more,
  };
}

function watch(...events: WatchEvent[]) {
  return { watcher: 'watcher', namespace: NAMESPACE, prefix: '', events };
}

const kinds = (history: History, log: LoggedChange[]) => [
  ...new Set(checkHistory(history, log).map((violation) => violation.kind)),
];

describe('checkHistory', () => {
  it('finds nothing in a sound run', () => {
    const { history, log } = soundRun();
    history.reads.push(read({ outcome: { type: 'value', value: 'v3', keyVersion: 3, appliedVersion: 4 } }));
    history.reads.push(read({ outcome: { type: 'value', value: 'v1', keyVersion: 1, appliedVersion: 2 } }));
    history.reads.push(read({ key: 'k9', outcome: { type: 'absent', appliedVersion: 4 } }));
    history.lists.push({
      client: 'r',
      namespace: NAMESPACE,
      prefix: 'k',
      startedAt: 100,
      endedAt: 101,
      version: 3,
      items: [
        { key: 'k1', value: 'v3', version: 3 },
        { key: 'k2', value: 'v2', version: 2 },
      ],
    });
    const changes = log.map((change) => ({ type: 'change' as const, ...change, at: 200 }));
    history.watches.push(
      watch(
        { type: 'connected', from: 0, at: 90 },
        { type: 'bookmark', version: 0, at: 91 },
        ...changes.slice(0, 2),
        { type: 'connected', from: 2, at: 210 },
        { type: 'bookmark', version: 2, at: 211 },
        ...changes.slice(2),
      ),
    );
    expect(checkHistory(history, log)).toEqual([]);
  });

  describe('the log', () => {
    it('a version missing', () => {
      const { history, log } = soundRun();
      log.splice(1, 1);
      expect(kinds(history, log)).toContain('log-broken');
    });

    it('a term that falls', () => {
      const { history, log } = soundRun();
      log[3] = { ...logged(4, put(4)), term: 0 };
      expect(kinds(history, log)).toEqual(['log-broken']);
    });

    it('a change that nobody wrote', () => {
      const { history, log } = soundRun();
      history.writes.pop();
      expect(kinds(history, log)).toEqual(['invented']);
    });
  });

  describe('writes', () => {
    it('lost', () => {
      const { history, log } = soundRun();
      log.pop();
      expect(kinds(history, log)).toEqual(['lost']);
    });

    it('doubled', () => {
      const { history, log } = soundRun();
      log.push(logged(5, put(4)));
      expect(kinds(history, log)).toEqual(['doubled']);
    });

    it('doubled after an unknown outcome', () => {
      const { history, log } = soundRun();
      const unknown = put(5, {
        startedAt: 60,
        endedAt: 70,
        outcome: { type: 'unknown', code: 'ECONNRESET' },
      });
      history.writes.push(unknown);
      log.push(logged(5, unknown), logged(6, unknown));
      expect(kinds(history, log)).toEqual(['doubled']);
    });

    it('an unknown outcome may have happened or not', () => {
      const { history, log } = soundRun();
      const happened = put(5, { startedAt: 60, endedAt: 70, outcome: { type: 'unknown', code: 'x' } });
      const not = put(7, { startedAt: 60, endedAt: 70, outcome: { type: 'unknown', code: 'x' } });
      history.writes.push(happened, not);
      log.push(logged(5, happened));
      expect(kinds(history, log)).toEqual([]);
    });

    it('acknowledged as another version', () => {
      const { history, log } = soundRun();
      history.writes[3] = put(4, { startedAt: 40, endedAt: 45, outcome: { type: 'ok', version: 3 } });
      expect(kinds(history, log)).toEqual(['altered']);
    });

    it('committed with another value', () => {
      const { history, log } = soundRun();
      log[3] = { ...logged(4, put(4)), operations: put(2).operations };
      expect(kinds(history, log)).toEqual(['altered']);
    });

    it('reordered: what began after an acknowledgement stands before it', () => {
      const { history, log } = soundRun();
      history.writes[1] = put(2, { startedAt: 40, endedAt: 45 });
      expect(kinds(history, log)).toEqual(['reordered']);
    });

    it('reordered: an unknown write that stands before what was known when it began', () => {
      const { history, log } = soundRun();
      history.writes[1] = put(2, { startedAt: 40, endedAt: 45, outcome: { type: 'unknown', code: 'x' } });
      expect(kinds(history, log)).toEqual(['reordered']);
    });

    it('refused, but took effect', () => {
      const { history, log } = soundRun();
      history.writes[3] = put(4, {
        startedAt: 40,
        endedAt: 45,
        outcome: { type: 'refused', status: 503, code: 'no-leader' },
      });
      expect(kinds(history, log)).toEqual(['refused-but-took-effect']);
    });

    it('a condition that did not hold', () => {
      const { history, log } = soundRun();
      const write = put(5, {
        operations: [
          { op: 'put', namespace: NAMESPACE, key: 'k1', value: 'x', condition: { type: 'absent' } },
        ],
        startedAt: 60,
        endedAt: 61,
      });
      history.writes.push(write);
      log.push(logged(5, write));
      expect(kinds(history, log)).toEqual(['condition-broken']);
    });

    it('answered as created although the key was there', () => {
      const { history, log } = soundRun();
      history.writes[3] = put(4, {
        startedAt: 40,
        endedAt: 45,
        outcome: { type: 'ok', version: 4, created: true },
      });
      expect(kinds(history, log)).toEqual(['condition-broken']);
    });

    it('a refused condition that held all the time', () => {
      const { history, log } = soundRun();
      history.writes.push(
        put(9, {
          operations: [
            {
              op: 'put',
              namespace: NAMESPACE,
              key: 'k1',
              value: 'x',
              condition: { type: 'version', version: 3 },
            },
          ],
          startedAt: 60,
          endedAt: 61,
          outcome: { type: 'refused', status: 412, code: 'precondition-failed' },
        }),
      );
      expect(kinds(history, log)).toEqual(['unjustified-refusal']);
    });
  });

  describe('reads', () => {
    it('a value that was not there at the version named', () => {
      const { history, log } = soundRun();
      history.reads.push(read({ outcome: { type: 'value', value: 'v1', keyVersion: 1, appliedVersion: 3 } }));
      expect(kinds(history, log)).toEqual(['wrong-read']);
    });

    it('absent although it was there', () => {
      const { history, log } = soundRun();
      history.reads.push(read({ outcome: { type: 'absent', appliedVersion: 3 } }));
      expect(kinds(history, log)).toEqual(['wrong-read']);
    });

    it('a version that the log does not have', () => {
      const { history, log } = soundRun();
      history.reads.push(read({ outcome: { type: 'value', value: 'v3', keyVersion: 3, appliedVersion: 9 } }));
      expect(kinds(history, log)).toEqual(['wrong-read']);
    });

    it('older than the session had seen', () => {
      const { history, log } = soundRun();
      history.reads.push(
        read({ minVersion: 3, outcome: { type: 'value', value: 'v1', keyVersion: 1, appliedVersion: 2 } }),
      );
      expect(kinds(history, log)).toEqual(['went-back']);
    });

    it('linearizable and stale against an acknowledged write', () => {
      const { history, log } = soundRun();
      history.reads.push(
        read({
          linearizable: true,
          outcome: { type: 'value', value: 'v1', keyVersion: 1, appliedVersion: 2 },
        }),
      );
      expect(kinds(history, log)).toEqual(['stale-linearizable-read']);
    });

    it('linearizable and older than an earlier read of a write that nobody acknowledged', () => {
      const { history, log } = soundRun();
      const unknown = put(5, { startedAt: 60, endedAt: 70, outcome: { type: 'unknown', code: 'x' } });
      history.writes.push(unknown);
      log.push(logged(5, unknown));
      const newer = { type: 'value', value: 'v5', keyVersion: 5, appliedVersion: 5 } as const;
      const older = { type: 'value', value: 'v3', keyVersion: 3, appliedVersion: 4 } as const;
      history.reads.push(read({ startedAt: 80, endedAt: 81, outcome: newer }));
      history.reads.push(read({ startedAt: 90, endedAt: 91, linearizable: true, outcome: older }));
      expect(kinds(history, log)).toEqual(['stale-linearizable-read']);
    });

    it('a list of two versions', () => {
      const { history, log } = soundRun();
      history.lists.push({
        client: 'r',
        namespace: NAMESPACE,
        prefix: '',
        startedAt: 100,
        endedAt: 101,
        version: 4,
        items: [
          { key: 'k1', value: 'v3', version: 3 },
          { key: 'k2', value: 'v2', version: 2 },
        ],
      });
      expect(kinds(history, log)).toEqual(['wrong-read']);
    });
  });

  describe('watches', () => {
    const run = (spoil: (changes: WatchEvent[]) => WatchEvent[]) => {
      const { history, log } = soundRun();
      const changes = log.map((change): WatchEvent => ({ type: 'change', ...change, at: 200 }));
      history.watches.push(watch({ type: 'connected', from: 0, at: 90 }, ...spoil(changes)));
      return kinds(history, log);
    };

    it('a version passed over', () => {
      expect(run((changes) => changes.toSpliced(1, 1))).toEqual(['watch-missed']);
    });

    it('a version passed over by a bookmark', () => {
      const bookmark: WatchEvent = { type: 'bookmark', version: 4, at: 200 };
      expect(run((changes) => [...changes.slice(0, 3), bookmark])).toEqual(['watch-missed']);
    });

    it('a version told twice', () => {
      expect(run((changes) => changes.flatMap((change) => [change, change]))).toEqual(['watch-repeated']);
    });

    it('versions in the wrong order', () => {
      const order = run((changes) => changes.toReversed());
      expect(order).toContain('watch-missed');
      expect(order).toContain('watch-repeated');
    });

    it('a change that is not whole', () => {
      const empty: WatchEvent = { type: 'change', version: 4, operations: [], at: 200 };
      expect(run((changes) => changes.with(3, empty))).toEqual(['watch-altered']);
    });

    it('an end before the end of the log', () => {
      expect(run((changes) => changes.slice(0, 3))).toEqual(['watch-behind']);
    });

    it('a reset', () => {
      const reset: WatchEvent = { type: 'reset', version: 4, reason: 'compacted', at: 200 };
      expect(run(() => [reset])).toEqual(['watch-reset']);
    });

    it('a version missed between two connections', () => {
      const reconnected: WatchEvent = { type: 'connected', from: 2, at: 200 };
      expect(run((changes) => [...changes.slice(0, 2), reconnected, ...changes.slice(3)])).toEqual([
        'watch-missed',
      ]);
    });
  });
});
