import { invariant } from '#libs/kernel';

const PREFIX = /^[a-zA-Z0-9_-]+(?:\.[a-zA-Z0-9_-]+)*$/;
const STREAM = 'HOLDFAST_FACTS';

/**
 * The subjects of one cluster on a bus that several clusters may share: `<prefix>.<subject>`, or the plain subject without
 * a prefix. The only place that knows of the prefix.
 */
export class SubjectSpace {
  /** The JetStream stream of the durable facts; a dot cannot stand in its name. */
  readonly streamName: string;

  constructor(readonly prefix: string) {
    invariant(prefix === '' || PREFIX.test(prefix), `not a subject prefix: ${prefix}`);
    this.streamName = prefix === '' ? STREAM : `${STREAM}_${prefix.replaceAll('.', '=')}`;
  }

  /** As it is sent. */
  wire(subject: string): string {
    return this.prefix === '' ? subject : `${this.prefix}.${subject}`;
  }

  /** As the contracts name it. */
  plain(wire: string): string {
    return this.prefix === '' ? wire : wire.slice(this.prefix.length + 1);
  }
}
