/**
 * Runs tasks one after the other, also those that a task brings about: what one step decided is carried out before
 * the next input is looked at. A task that throws has broken an invariant: that ends the process, and is thrown where
 * no callback of an HTTP client can swallow it.
 */
export class TaskQueue {
  private readonly tasks: (() => void)[] = [];

  constructor(private readonly onEmpty: () => void) {}

  enqueue(task: () => void): void {
    this.tasks.push(task);
    if (this.tasks.length > 1) return;
    for (let next = this.tasks[0]; next !== undefined; next = this.tasks[0]) {
      try {
        next();
      } catch (error) {
        setImmediate(() => {
          throw error;
        });
      }
      this.tasks.shift();
    }
    this.onEmpty();
  }
}
