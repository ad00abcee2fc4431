import { EVENT_ID, type parseEvents } from 'js-yaml';
import { faultAt, MAX_DEPTH, tooDeep, type ValueFault } from './value-fault.ts';

/** What a text without aliases can have at most; a reader that puts copies in the place of aliases gets no more. */
const MAX_NODES = 1024 * 1024;
/** Characters of the scalars. */
const MAX_CHARS = 16 * 1024 * 1024;

type Events = ReturnType<typeof parseEvents>;

/** What a node costs a reader, with everything in it. */
interface Cost {
  nodes: number;
  chars: number;
  /** Collections in each other. */
  depth: number;
}

interface OpenNode extends Cost {
  anchor: string | undefined;
}

/**
 * Whether YAML events stand for more than a reader should have to build. Aliases are not counted but what they stand
 * for: ten nested ones can stand for more nodes than there are atoms in the universe, while a file with hundreds of
 * aliases to small mappings is nothing special. A merge key costs the mapping that it merges.
 */
export function expansionFault(text: string, events: Events): ValueFault | undefined {
  return new Expansion(text).faultOf(events);
}

class Expansion {
  // No parameter property: Node runs this file without a build, and only removes types.
  private readonly text: string;
  /** `open` = the node has not ended yet: an alias in it would stand for itself. */
  private anchors = new Map<string, Cost | 'open'>();
  /** The document and the collections in which the next node stands. */
  private readonly open: OpenNode[] = [];
  /** Of the whole stream so far. */
  private readonly total = { nodes: 0, chars: 0 };

  constructor(text: string) {
    this.text = text;
  }

  faultOf(events: Events): ValueFault | undefined {
    for (const event of events) {
      const fault = this.take(event);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  private take(event: Events[number]): ValueFault | undefined {
    switch (event.type) {
      case EVENT_ID.DOCUMENT:
        this.anchors = new Map();
        this.enter(undefined);
        return undefined;
      case EVENT_ID.SCALAR:
        this.scalar(event.valueEnd - event.valueStart, this.nameOf(event));
        return undefined;
      case EVENT_ID.ALIAS:
        return this.alias(this.text.slice(event.anchorStart, event.anchorEnd), event.anchorStart - 1);
      case EVENT_ID.POP:
        this.leave();
        return undefined;
      default:
        this.enter(this.nameOf(event));
        return this.depth > MAX_DEPTH ? faultAt(this.text, event.start, tooDeep()) : undefined;
    }
  }

  private get depth(): number {
    return this.open.length - 1;
  }

  private nameOf(event: { anchorStart: number; anchorEnd: number }): string | undefined {
    return event.anchorStart < 0 ? undefined : this.text.slice(event.anchorStart, event.anchorEnd);
  }

  private enter(anchor: string | undefined): void {
    if (anchor !== undefined) this.anchors.set(anchor, 'open');
    this.open.push({ nodes: 1, chars: 0, depth: 1, anchor });
    this.total.nodes += 1;
  }

  private leave(): void {
    const node = this.open.pop();
    if (node === undefined) return;
    if (node.anchor !== undefined) this.anchors.set(node.anchor, node);
    this.addToParent(node);
  }

  private scalar(chars: number, anchor: string | undefined): void {
    const cost = { nodes: 1, chars, depth: 0 };
    if (anchor !== undefined) this.anchors.set(anchor, cost);
    this.addToParent(cost);
    this.total.nodes += 1;
    this.total.chars += chars;
  }

  private alias(anchor: string, at: number): ValueFault | undefined {
    const cost = this.anchors.get(anchor);
    const name = anchor.slice(0, 100);
    if (cost === undefined) return faultAt(this.text, at, `no anchor '${name}' stands before this alias`);
    if (cost === 'open') return faultAt(this.text, at, `the alias '${name}' stands for itself`);
    this.addToParent(cost);
    this.total.nodes += cost.nodes;
    this.total.chars += cost.chars;
    if (this.depth + cost.depth > MAX_DEPTH) {
      return faultAt(this.text, at, `with what the alias '${name}' stands for ${tooDeep()}`);
    }
    if (this.total.nodes <= MAX_NODES && this.total.chars <= MAX_CHARS) return undefined;
    const reason = `the aliases up to here stand for more than ${MAX_NODES} nodes or ${MAX_CHARS} characters`;
    return faultAt(this.text, at, reason);
  }

  private addToParent(cost: Cost): void {
    const parent = this.open.at(-1);
    if (parent === undefined) return;
    parent.nodes += cost.nodes;
    parent.chars += cost.chars;
    parent.depth = Math.max(parent.depth, cost.depth + 1);
  }
}
