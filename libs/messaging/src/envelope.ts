import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { deriveKey } from '#libs/kernel';
import { type AuthenticatedParts, BusMac, MAC_HEADER } from './bus-mac.js';
import { SubjectSpace } from './subject-space.js';
import { WIRE_HEADERS } from './wire.js';

/** A message of the client library, of the core or of JetStream. */
export interface WireMessage {
  subject: string;
  data: Uint8Array;
  headers?: MsgHdrs | undefined;
}

/** `cluster`: it carries the MAC of this cluster. `member`: it carries none. `forged`: it carries a wrong one. */
export type Origin = 'cluster' | 'member' | 'forged';

/** Gives messages of one cluster their subject and MAC, and tells whose a message is. */
export class Envelope {
  readonly space: SubjectSpace;
  private readonly mac: BusMac;

  constructor(clusterKey: string, prefix: string) {
    this.space = new SubjectSpace(prefix);
    this.mac = new BusMac(deriveKey(clusterKey, 'bus-mac'), prefix);
  }

  /** Adds the MAC to the headers, which are to be complete otherwise. */
  seal(
    parts: Pick<AuthenticatedParts, 'kind' | 'subject' | 'inbox'>,
    body: Uint8Array,
    given?: MsgHdrs,
  ): MsgHdrs {
    const result = given ?? headers();
    result.set(MAC_HEADER, this.mac.sign({ ...parts, ...fromHeaders(parts.kind, result) }, body));
    return result;
  }

  originOf(kind: 'fact' | 'request', message: WireMessage): Origin {
    return this.judge({ kind, subject: this.space.plain(message.subject) }, message);
  }

  /** Of a reply to a question that was asked on `subject`. */
  originOfReply(subject: string, message: WireMessage): Origin {
    return this.judge({ kind: 'reply', subject, inbox: message.subject }, message);
  }

  private judge(
    parts: Pick<AuthenticatedParts, 'kind' | 'subject' | 'inbox'>,
    { headers: given, data }: WireMessage,
  ): Origin {
    const mac = given?.get(MAC_HEADER);
    if (!mac) return 'member';
    return this.mac.verify(mac, { ...parts, ...fromHeaders(parts.kind, given) }, data) ? 'cluster' : 'forged';
  }
}

function fromHeaders(
  kind: AuthenticatedParts['kind'],
  given: MsgHdrs | undefined,
): Partial<AuthenticatedParts> {
  if (kind === 'fact') return { id: given?.get('ce-id'), time: given?.get('ce-time') };
  return kind === 'reply' ? { errorCode: given?.get(WIRE_HEADERS.errorCode) } : {};
}
