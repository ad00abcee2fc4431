import { connect, type Socket } from 'node:net';

type OnChange = (version: number, at: number) => void;

/** A watcher as lean as it can be. It speaks HTTP/1.0, so that the stream comes without chunk sizes in between. */
export class WatchStream {
  private readonly socket: Socket;
  private readonly onChange: OnChange;
  private readonly onOpen: () => void;
  private rest = '';
  private lastVersion = 0;
  /** Versions that came out of order or twice. */
  disorder = 0;
  ended = false;

  private constructor(socket: Socket, onChange: OnChange, onOpen: () => void) {
    this.socket = socket;
    this.onChange = onChange;
    this.onOpen = onOpen;
    socket.on('data', (bytes: Buffer) => this.take(bytes));
    for (const event of ['error', 'close']) {
      socket.on(event, () => {
        this.ended = true;
      });
    }
  }

  /** Resolves when the first bookmark is here. */
  static async open(port: number, namespace: string, onChange: OnChange): Promise<WatchStream> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the stream was refused')));
    const stream = new WatchStream(socket, onChange, resolve);
    const path = `/v1/namespaces/${namespace}/watch?prefix=`;
    socket.write(`GET ${path} HTTP/1.0\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n`);
    await promise;
    return stream;
  }

  close(): void {
    this.socket.destroy();
  }

  private take(bytes: Buffer): void {
    const at = performance.now();
    const frames = (this.rest + bytes.toString('latin1')).split('\n\n');
    this.rest = frames.pop() ?? '';
    for (const frame of frames) {
      if (frame.includes('event: bookmark')) this.onOpen();
      else if (frame.includes('event: change')) {
        const version = Number(/^id: ?(\d+)/m.exec(frame)?.[1]);
        if (version <= this.lastVersion) this.disorder++;
        this.lastVersion = version;
        this.onChange(version, at);
      }
    }
  }
}
