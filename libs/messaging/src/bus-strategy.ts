import { type ArgumentsHost, Catch, type RpcExceptionFilter } from '@nestjs/common';
import {
  BaseRpcContext,
  type CustomTransportStrategy,
  type MessageHandler,
  Server,
} from '@nestjs/microservices';
import { lastValueFrom, type Observable, throwError } from 'rxjs';
import { EVENTS, type EventSubject, REQUESTS, type ReplyPayload, type RequestSubject } from '#libs/contracts';
import { invariant } from '#libs/kernel';
import type { Bus, Speaker } from './bus.js';

/**
 * Lets Nest controllers answer questions and hear facts over a Bus: `@MessagePattern('registry.list')`,
 * `@EventPattern('node.heartbeat')`. Payloads arrive validated, and plain on the wire: no `{pattern, data}` envelope.
 *
 * Questions are answered by one instance of `queue`; facts reach every instance. A pattern says otherwise by its
 * extras: `@MessagePattern('failover.witness', { queue: null })`. A fact is heard from members too with
 * `{ members: true }`; whose word a message is, `speakerIn(context)` says.
 */
export class BusStrategy extends Server implements CustomTransportStrategy {
  private readonly unsubscribe: (() => void)[] = [];

  constructor(
    private readonly bus: Bus,
    private readonly options: { queue: string },
  ) {
    super();
  }

  listen(callback: (error?: unknown) => void): void {
    for (const [pattern, handler] of this.messageHandlers) {
      if (handler.isEventHandler) this.listenToFact(pattern, handler);
      else this.answerQuestion(pattern, handler);
    }
    this.bus.subscribed().then(() => callback(), callback);
  }

  close(): void {
    for (const unsubscribe of this.unsubscribe.splice(0)) unsubscribe();
  }

  on(): never {
    throw new Error('a BusStrategy has no events: use Bus.onStatus');
  }

  unwrap<T>(): T {
    return this.bus as T;
  }

  private listenToFact(pattern: string, handler: MessageHandler): void {
    invariant(isEvent(pattern), `no such event: ${pattern}`);
    const queue = queueOf(handler, undefined);
    this.unsubscribe.push(
      this.bus.subscribe(
        pattern,
        async (payload, speaker) => {
          for (let each: MessageHandler | undefined = handler; each; each = each.next)
            await run(each, payload, pattern, speaker);
        },
        { ...(queue === undefined ? {} : { queue }), members: handler.extras?.members === true },
      ),
    );
  }

  private answerQuestion(pattern: string, handler: MessageHandler): void {
    invariant(isRequest(pattern), `no such request: ${pattern}`);
    const queue = queueOf(handler, this.options.queue);
    this.unsubscribe.push(
      this.bus.handle(
        pattern,
        async (request, speaker) =>
          (await run(handler, request, pattern, speaker)) as ReplyPayload<typeof pattern>,
        queue === undefined ? {} : { queue },
      ),
    );
  }
}

/** Nest turns what it does not know into "Internal server error"; the bus wants the error itself, a Problem above all. */
@Catch()
export class BusErrorFilter implements RpcExceptionFilter<unknown> {
  catch(error: unknown, _host: ArgumentsHost): Observable<never> {
    return throwError(() => error);
  }
}

export function speakerIn(context: BaseRpcContext): Speaker {
  return context.getArgByIndex(1) === 'cluster' ? 'cluster' : 'member';
}

async function run(
  handler: MessageHandler,
  payload: unknown,
  pattern: string,
  speaker: Speaker,
): Promise<unknown> {
  const result: unknown = await handler(payload, new BaseRpcContext([pattern, speaker]));
  return isObservable(result) ? lastValueFrom(result, { defaultValue: undefined }) : result;
}

function queueOf(handler: MessageHandler, fallback: string | undefined): string | undefined {
  const queue: unknown = handler.extras?.queue;
  if (queue === undefined) return fallback;
  return typeof queue === 'string' ? queue : undefined;
}

function isObservable(value: unknown): value is Observable<unknown> {
  return typeof value === 'object' && value !== null && 'subscribe' in value;
}

function isEvent(subject: string): subject is EventSubject {
  return Object.hasOwn(EVENTS, subject);
}

function isRequest(subject: string): subject is RequestSubject {
  return Object.hasOwn(REQUESTS, subject);
}
