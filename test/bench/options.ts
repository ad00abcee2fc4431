/** `quick`: fewer and shorter rounds, to see that it works; its numbers mean little. */
export interface BenchOptions {
  quick: boolean;
}
