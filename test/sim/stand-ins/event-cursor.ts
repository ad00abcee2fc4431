/** Facts for people and other programs come from the log by a cursor in the stream of facts; there is no stream here. */
export class EventCursor {
  begin(): void {}
  end(): void {}
  async stop(): Promise<void> {}
}
