import { type BaseRpcContext, Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import type { EventPayload, EventSubject, ReplyPayload, RequestSubject } from '#libs/contracts';
import type { AskedRequest } from './bus.js';

/** What a handler's parameter and result must be follows from the subject: anything else does not compile. */
type EventMethod<S extends EventSubject> = (event: EventPayload<S>, context: BaseRpcContext) => unknown;
type RequestMethod<S extends RequestSubject> = (
  request: AskedRequest<S>,
  context: BaseRpcContext,
) => ReplyPayload<S> | Promise<ReplyPayload<S>>;

/** The method of a controller receives every event of this subject; with `members`, also those that members publish. */
export function OnEvent<S extends EventSubject>(subject: S, options: { members?: boolean } = {}) {
  return <M extends EventMethod<S>>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<M>,
  ): void => {
    injectMessage(target, name);
    EventPattern<string>(subject, options)(target, name, descriptor);
  };
}

/** The method of a controller answers requests of this subject: one instance of the service does, with `queue: null` all. */
export function Answers<S extends RequestSubject>(subject: S, options: { queue?: null } = {}) {
  return <M extends RequestMethod<S>>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<M>,
  ): void => {
    injectMessage(target, name);
    MessagePattern<string>(subject, options)(target, name, descriptor);
  };
}

/** The message is the first parameter, its context the second. */
function injectMessage(target: object, name: string | symbol): void {
  Payload()(target, name, 0);
  Ctx()(target, name, 1);
}
