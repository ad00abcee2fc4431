/**
 * A question that many ask at once. An answer counts only for those who asked before the question went out: whoever comes
 * while one is under way shares the next.
 */
export class SharedRequest<Answer> {
  private gathering: Promise<Answer> | undefined;
  private underWay: Promise<unknown> = Promise.resolve();

  constructor(private readonly question: () => Promise<Answer>) {}

  ask(): Promise<Answer> {
    this.gathering ??= this.next();
    return this.gathering;
  }

  private async next(): Promise<Answer> {
    await this.underWay;
    this.gathering = undefined;
    const answer = this.question();
    this.underWay = answer.then(
      () => undefined,
      () => undefined, // those who asked are told
    );
    return answer;
  }
}
