import type { Rng } from '#libs/kernel';
import type { Cluster } from '../cluster/cluster.js';
import { type Answer, CallFailed } from '../world/network.js';
import { SimProcess } from '../world/process.js';
import type { World } from '../world/world.js';

const CALM_FACTOR = 4;

/** Where clients run: a process that no fault befalls, and that finds another gateway when one does not answer. */
export class ClientSide {
  readonly process: SimProcess;
  stopped = false;
  /** Whether nothing has been wrong for a while. */
  isCalm: () => boolean = () => false;

  constructor(
    readonly world: World,
    readonly cluster: Cluster,
  ) {
    this.process = new SimProcess(world, 'c1', 60, 1, 0);
  }

  /** How long a client thinks: longer while nothing is wrong, when one write is like the other. */
  thinkMs(rng: Rng, meanMs: number): number {
    return rng.next() * 2 * meanMs * (this.isCalm() ? CALM_FACTOR : 1);
  }

  call(
    rng: Rng,
    asked: { path: string; headers?: Record<string, string>; body: unknown },
    withinMs: number,
    done: (result: Answer | CallFailed | 'late') => void,
  ): void {
    this.callOne(this.choose(rng, this.cluster.namesOf('gateway')), asked, withinMs, done);
  }

  /** One that takes connections, if there is one. */
  choose(rng: Rng, names: readonly string[]): string {
    const living = names.filter((name) => this.cluster.network.isListening(name));
    const choice = living.length > 0 ? living : names;
    return choice[rng.int(choice.length)] ?? '';
  }

  callOne(
    to: string,
    asked: { path: string; headers?: Record<string, string>; body: unknown },
    withinMs: number,
    done: (result: Answer | CallFailed | 'late') => void,
  ): void {
    const timer = this.process.timer(withinMs, () => {
      call.abandon();
      done('late');
    });
    const call = this.cluster.network.call(this.process, to, asked, (result) => {
      timer.run = undefined;
      done(result);
    });
  }
}
