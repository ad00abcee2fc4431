import { EVENT_FAMILIES, EVENTS, MEMBER_SUBJECTS } from './subjects.js';

export interface BusRole {
  publish: readonly string[];
  subscribe: readonly string[];
}

/** Facts that are traffic between replicas: `sync.changes` carries the values of configurations. */
const NOT_FOR_LISTENERS: readonly string[] = ['sync.changes'];

/**
 * What the users of the bus may do beside the processes of the cluster, who may do everything: subjects as NATS permissions
 * name them, below the cluster's prefix. `member`: a foreign service says that it lives and asks the registry; replies come
 * to `_INBOX`, which no process of the cluster uses. `listener`: a dashboard hears facts and alerts, and says nothing.
 */
export function busRoles(prefix = ''): Record<'member' | 'listener', BusRole> {
  const below = (subject: string) => (prefix === '' ? subject : `${prefix}.${subject}`);
  const facts = Object.keys(EVENTS).filter((subject) => !NOT_FOR_LISTENERS.includes(subject));
  const families = [...Object.keys(EVENT_FAMILIES), 'alert.resolved'].map((family) => `${family}.*`);
  return {
    member: {
      publish: [...MEMBER_SUBJECTS.says, ...MEMBER_SUBJECTS.asks].map(below),
      subscribe: ['_INBOX.>'],
    },
    listener: { publish: [], subscribe: [...facts, ...families].map(below) },
  };
}
