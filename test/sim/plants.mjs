// Bugs that the simulation must find, each as what is changed in which source: production code has no switches for it.
// Where a guard stands behind another one, both are taken away.

/** @typedef {{ file: string, find: string, put: string }} Edit */
/**
 * `firstSeed` is where the search begins when the first seeds are known to find nothing: close before one that found it.
 *
 * @type {{ name: string, firstSeed?: number, edits: Edit[] }[]}
 */
export const PLANTS = [
  {
    name: 'a commit without its fence',
    edits: [
      {
        file: 'test/sim/database/config-tables.ts',
        find: 'if (!this.fences(fence)) return undefined;',
        put: 'if (this.head.version !== fence.version) return undefined;',
      },
    ],
  },
  {
    name: 'an unknown outcome is taken for a failure',
    edits: [
      {
        file: 'apps/config-node/src/domain/commit/committer.ts',
        find: "if (failure === 'unknown') {\n          this.bump(phase.batch);",
        put: "if (failure === 'unknown') {\n          this.notDone(phase.batch, 'unavailable', message, nowMs);",
      },
    ],
  },
  {
    name: 'a change is applied again',
    edits: [
      {
        file: 'libs/replica/src/replica.ts',
        find: 'if (change.version <= this.version) return this.compareKnown(change);',
        put: 'if (change.version < this.version) return this.compareKnown(change);',
      },
      {
        file: 'libs/replica/src/replica.ts',
        find: "if (first < this.version + 1) return 'diverged';",
        put: "if (first < this.version) return 'diverged';",
      },
      {
        file: 'libs/replica/src/replica.ts',
        find: "if (chainAfter(this.chain, change) !== change.chain) return 'diverged';",
        put: '',
      },
    ],
  },
  {
    name: 'a change is applied over a gap',
    edits: [
      {
        file: 'libs/replica/src/replica.ts',
        find: "if (first > this.version + 1) return 'gap';",
        put: '',
      },
      {
        file: 'libs/replica/src/replica.ts',
        find: "if (chainAfter(this.chain, change) !== change.chain) return 'diverged';",
        put: '',
      },
    ],
  },
  {
    name: 'two leaders in one term',
    edits: [
      {
        file: 'test/sim/database/config-tables.ts',
        find: 'if (before.term !== claim.seenTerm || before.leaderId !== claim.suspect) return undefined;',
        put: '',
      },
      {
        file: 'test/sim/database/config-tables.ts',
        find: 'term: Math.max(before.term, claim.highestTerm) + 1,',
        put: 'term: claim.seenTerm + 1,',
      },
    ],
  },
  {
    name: 'what a deposed leader decided from memory is answered',
    firstSeed: 165,
    edits: [
      {
        file: 'apps/config-node/src/domain/commit/committer.ts',
        find: 'if (!holds) {\n      this.requeue(batch);',
        put: 'if (!holds && batch.settled.length === 0) {\n      this.requeue(batch);',
      },
    ],
  },
  {
    name: 'a write is repeated under another key',
    firstSeed: 60,
    edits: [
      {
        file: 'apps/gateway/src/proxy/write-proxy.ts',
        find: 'const headers = [...write.headers, ...more];',
        put: 'const headers = [...write.headers.map((one, i, all) => (all[i - 1] === HEADERS.idempotencyKey ? randomUUID() : one)), ...more];',
      },
    ],
  },
  {
    name: 'an idempotency key is not looked up',
    edits: [
      {
        file: 'apps/config-node/src/domain/commit/committer.ts',
        find: "if (mayBeRepeat && !this.recent.has(request.idempotencyKey ?? '')) this.lookUps.want(pending);",
        put: '',
      },
      {
        file: 'test/sim/database/config-tables.ts',
        find: 'this.refuseDoubles(batch);',
        put: '',
      },
    ],
  },
  {
    name: 'a watch resumes at the head instead of at its version',
    edits: [
      {
        file: 'libs/watch/src/domain/watch-cursor.ts',
        find: 'if (this.start.from === undefined) this.at = head;',
        put: 'this.at = head;',
      },
    ],
  },
  {
    name: 'a snapshot is loaded without its chain',
    edits: [
      {
        file: 'apps/config-node/src/replica/snapshotter.ts',
        find: "this.host.load(header, state, 'compacted');",
        put: "this.host.load({ ...header, chain: '0'.repeat(64) }, state, 'compacted');",
      },
    ],
  },
  {
    name: 'a node is healthy before it is level',
    edits: [
      {
        file: 'apps/config-node/src/membership/cluster-membership.ts',
        find: "if (this.parts.verification.verified === 'pending') return 'syncing';",
        put: '',
      },
      {
        file: 'apps/config-node/src/membership/cluster-membership.ts',
        find: "if (this.parts.host.isStale()) return 'stale';",
        put: '',
      },
    ],
  },
  {
    name: 'a linearizable read believes a plain read of head',
    edits: [
      {
        file: 'apps/config-node/src/http/reads/linearizable-reads.ts',
        find: 'this.store.barrier()',
        put: 'this.store.readHead()',
      },
    ],
  },
  {
    name: 'a read does not wait for what its client has seen',
    edits: [
      {
        file: 'apps/config-node/src/http/reads/read-gate.ts',
        find: 'await this.reach(Math.max(seen, demands.minVersion ?? 0), timeoutMs);',
        put: '',
      },
    ],
  },
  {
    name: 'a node keeps what the database has lost',
    edits: [
      {
        file: 'apps/config-node/src/domain/head-verdict.ts',
        find: "if (head.version < own.versionAtAsking) return 'diverged';",
        put: '',
      },
      {
        file: 'apps/config-node/src/domain/head-verdict.ts',
        find: "if (known !== undefined && known !== head.chain) return 'diverged';",
        put: '',
      },
    ],
  },
];
