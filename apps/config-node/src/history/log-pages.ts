import { type Change, LIMITS } from '#libs/contracts';
import type { LogPage, LogQuery } from '#libs/watch';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { StoredHistory } from './stored-history.js';

/** Of more namespaces than that the database gives everything: a look-up for each would cost more than it saves. */
const SELECTED_NAMESPACES = 20;
/** So many changes, and operations in them, are looked at for one page in one turn of the event loop. */
const LOOKED_AT = 20_000;
const LOOKED_AT_OPERATIONS = 100_000;
const STEP = 1_000;

/** A page of the log for those who watch some namespaces: from memory as far as it reaches back, else from the database. */
export async function logPage(
  host: ReplicaHost,
  store: StoredHistory,
  query: LogQuery,
): Promise<LogPage | 'compacted'> {
  const { after, limit, maxBytes, namespaces } = query;
  const remembered = fromMemory(host, query);
  if (remembered !== 'compacted') return remembered;
  if (namespaces.length > 0 && namespaces.length <= SELECTED_NAMESPACES) {
    return store.log.retainedTouching(namespaces, { after, limit, maxBytes });
  }
  const changes = await store.log.retainedAfter(after, limit, maxBytes);
  return changes === 'compacted' ? changes : { changes, through: changes.at(-1)?.version ?? after };
}

function fromMemory({ replica }: ReplicaHost, query: LogQuery): LogPage | 'compacted' {
  const namespaces = new Set(query.namespaces);
  const changes: Change[] = [];
  let through = query.after;
  let bytes = 0;
  let operations = 0;
  for (let seen = 0; seen < LOOKED_AT; seen += STEP) {
    const step = replica.changesAfter(through, STEP, Number.MAX_SAFE_INTEGER);
    if (step === 'compacted') return step;
    for (const change of step) {
      const touching = namespaces.size === 0 ? change : touched(change, namespaces);
      if (touching !== undefined) {
        bytes += bytesOf(touching);
        if (changes.length > 0 && bytes > query.maxBytes) return { changes, through };
        changes.push(touching);
      }
      through = change.version;
      operations += change.operations.length;
      if (changes.length === query.limit || operations > LOOKED_AT_OPERATIONS) return { changes, through };
    }
    if (step.length < STEP) break;
  }
  return { changes, through };
}

/** The change with its operations in the namespaces; lost versions concern everybody. */
function touched(change: Change, namespaces: ReadonlySet<string>): Change | undefined {
  const operations = change.operations.filter(({ namespace }) => namespaces.has(namespace));
  if (operations.length === 0 && change.kind !== 'lost') return undefined;
  return operations.length === change.operations.length ? change : { ...change, operations };
}

function bytesOf({ operations }: Change): number {
  let bytes = 0;
  for (const operation of operations) {
    bytes += LIMITS.loggedOperationBytes + (operation.op === 'put' ? operation.value.length : 0);
  }
  return bytes;
}
