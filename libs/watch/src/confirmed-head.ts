import type { ChangeSource } from './change-source.js';

/**
 * The end of the database's log, read after the question was put: one question is under way at a time, and those who
 * ask meanwhile share the next one.
 */
export class ConfirmedHead {
  private underWay: Promise<number> | undefined;
  private next: Promise<number> | undefined;

  constructor(private readonly source: Pick<ChangeSource, 'confirmedHead'>) {}

  version(): Promise<number> {
    if (this.underWay === undefined) return this.ask();
    const askNext = () => {
      this.next = undefined;
      return this.ask();
    };
    this.next ??= this.underWay.then(askNext, askNext);
    return this.next;
  }

  private ask(): Promise<number> {
    const asked = this.source.confirmedHead().finally(() => {
      this.underWay = undefined;
    });
    this.underWay = asked;
    return asked;
  }
}
