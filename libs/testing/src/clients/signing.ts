import type { Msg, NatsConnection, Payload, PublishOptions } from '@nats-io/transport-node';
import { Envelope, MAC_HEADER } from '#libs/messaging';

const bytesOf = (data: Payload | undefined) =>
  typeof data === 'string' ? Buffer.from(data) : (data ?? new Uint8Array());

/** Makes a bare connection speak as a process of the cluster does: all that it says carries the MAC. */
export function signing(bare: NatsConnection, clusterKey: string, prefix = ''): NatsConnection {
  const envelope = new Envelope(clusterKey, prefix);
  const { space } = envelope;
  const publish = bare.publish.bind(bare);
  const request = bare.request.bind(bare);
  const subscribe = bare.subscribe.bind(bare);
  bare.publish = (subject: string, data?: Payload, options: PublishOptions = {}) => {
    if (options.headers?.has(MAC_HEADER)) return publish(subject, data, options);
    const body = bytesOf(data);
    const parts = { kind: options.reply ? 'request' : 'fact', subject: space.plain(subject) } as const;
    publish(subject, body, { ...options, headers: envelope.seal(parts, body, options.headers) });
  };
  bare.request = (subject, data, options) => {
    const body = bytesOf(data);
    const headers = envelope.seal({ kind: 'request', subject: space.plain(subject) }, body, options?.headers);
    return request(subject, body, { timeout: 1_000, ...options, headers });
  };
  bare.subscribe = (subject, options) => {
    const { callback } = options ?? {};
    if (callback === undefined) return subscribe(subject, options);
    return subscribe(subject, {
      ...options,
      callback: (error, message) => callback(error, error ? message : answering(message, envelope)),
    });
  };
  return bare;
}

function answering(message: Msg, envelope: Envelope): Msg {
  const respond = message.respond.bind(message);
  message.respond = (data?: Payload, options: Pick<PublishOptions, 'headers'> = {}) => {
    const body = bytesOf(data);
    const parts = { kind: 'reply', subject: envelope.space.plain(message.subject) } as const;
    const headers = envelope.seal({ ...parts, inbox: message.reply ?? '' }, body, options.headers);
    return respond(body, { ...options, headers });
  };
  return message;
}
