import { HEADERS, Problem } from '#libs/contracts';
import { sha256 } from '#libs/kernel';
import { checksumOf } from '#libs/replica';
import type {
  Precondition,
  WriteOperation,
  WriteRequest,
} from '../../../apps/config-node/src/domain/commit/write.js';
import type { ConfigNode } from '../../../apps/config-node/src/node.js';
import { hostOf } from '../stand-ins/http.js';
import { type Answer, type Asked, CallFailed, type Network } from '../world/network.js';
import type { SimProcess } from '../world/process.js';
import { isProblem } from './doors.js';

/** What clients send: one change set. */
export interface WriteBody {
  comment: string;
  operations: {
    op: 'put' | 'delete';
    namespace: string;
    key: string;
    value?: string;
    condition?: Precondition;
  }[];
}

const WRITE_MS = 5_000;
const FORWARD_MS = 6_000;

/** The write routes of a node without HTTP and without the checking of values: who may answer, and from what. */
export class WriteDoor {
  constructor(
    private readonly engine: ConfigNode,
    private readonly process: SimProcess,
    private readonly network: Network,
  ) {}

  async answer(asked: Asked): Promise<Answer> {
    try {
      return await this.write(asked);
    } catch (error) {
      if (!isProblem(error)) return answerOf(500, {}, {});
      return answerOf(error.status, this.headers(), error.toBody());
    }
  }

  private async write(asked: Asked): Promise<Answer> {
    const { publisher } = this.engine;
    const forwarded = this.elsewhere(asked);
    if (forwarded !== undefined) return forwarded;
    const outcome = await publisher.submit(this.requestOf(asked));
    const { version, term, created } = outcome;
    return answerOf(200, this.headers(), { version, term, created });
  }

  private elsewhere(asked: Asked): Promise<Answer> | undefined {
    const { publisher, leadership } = this.engine;
    if (publisher.isLeading) return undefined;
    const { leader } = leadership;
    const mayForward =
      asked.headers[HEADERS.forward] === '1' && asked.headers[HEADERS.forwarded] === undefined;
    if (!mayForward || leader === null) {
      throw new Problem('not-leader', 'writes go to the leader', {
        leader: leader?.address ?? null,
        leaderTerm: leader?.term ?? null,
      });
    }
    return this.forward(asked, leader.address);
  }

  private forward(asked: Asked, address: string): Promise<Answer> {
    const { [HEADERS.forward]: _, ...headers } = asked.headers;
    return new Promise((resolve, reject) => {
      const timer = this.process.timer(FORWARD_MS, () => {
        call.abandon();
        reject(new Problem('outcome-unknown', 'the leader did not answer'));
      });
      const sent = { path: asked.path, headers: { ...headers, [HEADERS.forwarded]: '1' }, body: asked.body };
      const call = this.network.call(this.process, hostOf(address), sent, (result) => {
        timer.run = undefined;
        if (!(result instanceof CallFailed)) resolve(result);
        else if (result.how === 'reset') reject(new Problem('outcome-unknown', 'the leader was lost'));
        else {
          reject(
            new Problem('not-leader', 'the leader cannot be reached from here either', { leader: address }),
          );
        }
      });
    });
  }

  private requestOf({ headers, body, onGone }: Asked): WriteRequest {
    const bytes = body as Buffer;
    const { comment, operations } = JSON.parse(bytes.toString()) as WriteBody;
    const gone = new AbortController();
    onGone(() => gone.abort(new Problem('outcome-unknown', 'the client has left')));
    const key = headers[HEADERS.idempotencyKey] ?? null;
    const aim = headers[HEADERS.aimTerm];
    return {
      kind: 'change-set',
      idempotencyKey: key,
      requestHash: key === null ? null : sha256(bytes),
      keyIsFresh: headers[HEADERS.attempt] === '1',
      aimTerm: aim === undefined ? null : Number(aim),
      author: null,
      comment,
      operations: operations.map(operationOf),
      deadlineMs: this.process.clock.monotonicMs() + WRITE_MS,
      signal: gone.signal,
    };
  }

  private headers(): Record<string, string> {
    const { replica, term } = this.engine.host;
    return { [HEADERS.version]: String(replica.version), [HEADERS.term]: String(term) };
  }
}

function operationOf({
  op,
  namespace,
  key,
  value = '',
  condition,
}: WriteBody['operations'][number]): WriteOperation {
  if (op === 'delete') return { op, namespace, key, condition };
  const bytes = Buffer.from(value);
  return {
    op,
    namespace,
    key,
    value: bytes,
    contentType: 'text/plain',
    checksum: checksumOf(bytes),
    condition,
  };
}

function answerOf(status: number, headers: Record<string, string>, body: unknown): Answer {
  return { status, headers, body: Buffer.from(JSON.stringify(body)) };
}
