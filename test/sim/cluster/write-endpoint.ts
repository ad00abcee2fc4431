import { HEADERS, Problem } from '#libs/contracts';
import { sha256 } from '#libs/kernel';
import { checksumOf } from '#libs/replica';
import {
  type IncomingWrite,
  WriteIntake,
  type WriteSender,
} from '../../../apps/config-node/src/commit/write-intake.js';
import type { Precondition, WriteOperation } from '../../../apps/config-node/src/domain/commit/write.js';
import type { ConfigNode } from '../../../apps/config-node/src/node.js';
import { hostOf } from '../stand-ins/http.js';
import { type Answer, type Asked, CallFailed, type Network } from '../world/network.js';
import type { SimProcess } from '../world/process.js';
import { isProblem } from './doors.js';
import { traceLogger } from './silent.js';

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

const FORWARD_MS = 6_000;

/** Writes on the simulated network: the intake of the node behind another transport, without the checking of values. */
export class WriteEndpoint {
  private readonly intake: WriteIntake;

  constructor(
    private readonly engine: ConfigNode,
    private readonly process: SimProcess,
    private readonly network: Network,
  ) {
    const { publisher, leadership } = engine;
    this.intake = new WriteIntake({
      publisher,
      leader: () => leadership.leader,
      clock: process.clock,
      logger: traceLogger(process),
    });
  }

  async answer(asked: Asked): Promise<Answer> {
    try {
      return await this.write(asked);
    } catch (error) {
      if (!isProblem(error)) return answerOf(500, {}, {});
      return answerOf(error.status, this.headers(), error.toBody());
    }
  }

  private async write(asked: Asked): Promise<Answer> {
    const sender = senderOf(asked);
    const leader = this.intake.leaderElsewhere(sender);
    if (leader !== undefined) return this.forward(asked, leader);
    const { version, term, created } = await this.intake.publish(sender, async () => writeOf(asked));
    return answerOf(200, this.headers(), { version, term, created });
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

  private headers(): Record<string, string> {
    const { replica, term } = this.engine.host;
    return { [HEADERS.version]: String(replica.version), [HEADERS.term]: String(term) };
  }
}

/** Who writes on the simulated network is of the cluster. */
function senderOf({ headers, onGone }: Asked): WriteSender {
  const aim = headers[HEADERS.aimTerm];
  return {
    requestId: 'simulated',
    isMember: () => true,
    forward: headers[HEADERS.forward] === '1',
    forwarded: headers[HEADERS.forwarded] !== undefined,
    attempt: () => ({
      keyIsFresh: headers[HEADERS.attempt] === '1',
      aimTerm: aim === undefined ? null : Number(aim),
    }),
    idempotencyKey: () => headers[HEADERS.idempotencyKey] ?? null,
    signal: () => {
      const gone = new AbortController();
      onGone(() => gone.abort(new Problem('outcome-unknown', 'the client has left')));
      return gone.signal;
    },
  };
}

function writeOf({ body }: Asked): IncomingWrite {
  const bytes = body as Buffer;
  const { comment, operations } = JSON.parse(bytes.toString()) as WriteBody;
  return {
    kind: 'change-set',
    author: null,
    comment,
    operations: operations.map(operationOf),
    hash: sha256(bytes),
  };
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
