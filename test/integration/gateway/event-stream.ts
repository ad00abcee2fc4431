import { type ClientRequest, get } from 'node:http';

export interface StreamEvent {
  event: string;
  id: string | undefined;
  data: { version: number } & Record<string, unknown>;
}

/** Reads server-sent events as a client would. */
export class EventStream {
  readonly events: StreamEvent[] = [];
  comments = 0;
  ended = false;
  status = 0;
  headers: Record<string, string | string[] | undefined> = {};
  private readonly request: ClientRequest;
  private text = '';

  constructor(url: string, headers: Record<string, string> = {}) {
    this.request = get(url, { headers, agent: false }, (response) => {
      this.status = response.statusCode ?? 0;
      this.headers = response.headers;
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => this.take(chunk));
      response.on('end', () => {
        this.ended = true;
      });
      response.on('error', () => {
        this.ended = true;
      });
    });
    this.request.on('error', () => {
      this.ended = true;
    });
  }

  of(event: string): StreamEvent[] {
    return this.events.filter((it) => it.event === event);
  }

  get versions(): number[] {
    return this.of('change').map((it) => it.data.version);
  }

  close(): void {
    this.request.destroy();
  }

  private take(chunk: string): void {
    this.text += chunk;
    const blocks = this.text.split('\n\n');
    this.text = blocks.pop() ?? '';
    for (const block of blocks) this.block(block);
  }

  private block(block: string): void {
    const fields = new Map<string, string>();
    for (const line of block.split('\n')) {
      if (line.startsWith(':')) this.comments += 1;
      const at = line.indexOf(': ');
      if (at > 0) fields.set(line.slice(0, at), line.slice(at + 2));
    }
    const event = fields.get('event');
    if (event === undefined) return;
    this.events.push({ event, id: fields.get('id'), data: JSON.parse(fields.get('data') ?? 'null') });
  }
}
