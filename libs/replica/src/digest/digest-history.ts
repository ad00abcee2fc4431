import { Fifo } from '../fifo.js';

/** Where a history stands, and the digest (hex) of the state there. */
export interface DigestPoint {
  version: number;
  chain: string;
  hash: string;
}

/** `not-reached`: this history does not go so far yet. `forgotten`: it is not remembered any more. */
export type UnknownDigest = 'not-reached' | 'forgotten';

const RECENT = 4_096;
const MILESTONE_EVERY = 1_000;
const MILESTONES = 10_000;

/**
 * The digests of past versions: each of the latest 4,096, and of every 1,000th before them, so that a node that lags
 * far behind can be compared too. Nothing is known of versions before the state was loaded.
 */
export class DigestHistory {
  private readonly recent = new Fifo<DigestPoint>();
  private readonly milestones = new Fifo<DigestPoint>();

  /** Versions come in rising order. */
  note(point: DigestPoint): void {
    this.recent.push(point);
    if (this.recent.length <= RECENT) return;
    const oldest = this.recent.shift();
    if (oldest !== undefined && oldest.version % MILESTONE_EVERY === 0) this.milestones.push(oldest);
    if (this.milestones.length > MILESTONES) this.milestones.shift();
  }

  at(version: number): DigestPoint | UnknownDigest {
    const point = find(this.recent, version) ?? find(this.milestones, version);
    if (point !== undefined) return point;
    return version > (this.recent.at(this.recent.length - 1)?.version ?? 0) ? 'not-reached' : 'forgotten';
  }
}

function find(points: Fifo<DigestPoint>, version: number): DigestPoint | undefined {
  const point = points.at(points.firstIndex((candidate) => candidate.version >= version));
  return point?.version === version ? point : undefined;
}
