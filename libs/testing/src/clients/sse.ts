export interface SseEvent {
  /** `message` when the stream names none. */
  event: string;
  id: string | null;
  data: string;
}

/** Server-sent events (WHATWG HTML 9.2.6), fed with bytes as they arrive. Comments are counted, not kept. */
export class SseParser {
  private readonly decoder = new TextDecoder();
  private rest = '';
  private event = '';
  private data: string[] = [];
  private id: string | null = null;
  comments = 0;

  push(bytes: Uint8Array): SseEvent[] {
    const events: SseEvent[] = [];
    const lines = (this.rest + this.decoder.decode(bytes, { stream: true })).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = this.line(line.endsWith('\r') ? line.slice(0, -1) : line);
      if (event) events.push(event);
    }
    return events;
  }

  private line(line: string): SseEvent | undefined {
    if (line === '') return this.dispatch();
    if (line.startsWith(':')) {
      this.comments++;
      return undefined;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    if (field === 'event') this.event = value;
    else if (field === 'data') this.data.push(value);
    else if (field === 'id') this.id = value;
    return undefined;
  }

  private dispatch(): SseEvent | undefined {
    const { data } = this;
    const event = this.event || 'message';
    this.data = [];
    this.event = '';
    return data.length > 0 ? { event, id: this.id, data: data.join('\n') } : undefined;
  }
}
