import type { Cluster } from '../cluster/cluster.js';
import { NO_STATEMENT_FAULTS } from '../database/database.js';
import type { World } from '../world/world.js';
import { describeFault, type Fault } from './plan.js';

const STOP_WITHIN_MS = 15_000;

/** Lets the faults of a plan happen, and ends each when its time is over. */
export class Injector {
  private calmSinceMs = 0;
  /** How to end what is going on. */
  private readonly ends = new Map<number, () => void>();

  constructor(
    private readonly world: World,
    private readonly cluster: Cluster,
  ) {}

  plan(faults: readonly Fault[]): void {
    for (const fault of faults) {
      this.world.in(fault.atMs, () => {
        this.world.note(describeFault(fault), 'fault');
        this.ends.set(fault.id, this.begin(fault));
        this.world.in(fault.forMs, () => this.end(fault.id));
      });
    }
  }

  /** Nothing has been wrong for so long. */
  isCalmFor(ms: number): boolean {
    return this.ends.size === 0 && this.world.nowMs - this.calmSinceMs >= ms;
  }

  /** Ends everything that is still wrong. */
  endAll(): void {
    for (const id of [...this.ends.keys()]) this.end(id);
  }

  private end(id: number): void {
    const end = this.ends.get(id);
    if (end === undefined) return;
    this.ends.delete(id);
    this.calmSinceMs = this.world.nowMs;
    this.world.note(`#${id} ends`, 'fault');
    end();
  }

  private begin(fault: Fault): () => void {
    const { cluster } = this;
    const { network, broker, database } = cluster;
    switch (fault.kind) {
      case 'crash':
        return this.crash(fault);
      case 'stop':
        return this.stop(fault.who);
      case 'pause': {
        const process = cluster.processOf(fault.who);
        process?.pause();
        return () => process?.resume();
      }
      case 'cut':
        return this.cut(fault);
      case 'slow': {
        const others = [...cluster.allNames, 'db', 'bus'].filter((name) => name !== fault.who);
        const by = (ms: number) => {
          for (const other of others) {
            network.slow(fault.who, other, ms);
            network.slow(other, fault.who, ms);
          }
        };
        by(fault.byMs);
        return () => by(-fault.byMs);
      }
      case 'clock': {
        const process = cluster.processOf(fault.who);
        if (process !== undefined) process.skewMs += fault.byMs;
        return () => undefined;
      }
      case 'bus-down':
        broker.setUp(false);
        return () => broker.setUp(true);
      case 'bus-faults':
        broker.faults = fault;
        return () => {
          broker.faults = { lost: 0, doubled: 0, late: 0 };
        };
      case 'db-down':
        database.stop();
        return () => database.start();
      case 'db-stall':
        database.stall();
        return () => database.resume();
      case 'db-slow':
        database.slowMs += fault.byMs;
        return () => {
          database.slowMs -= fault.byMs;
        };
      case 'db-faults':
        database.faults = { ...NO_STATEMENT_FAULTS, ...fault };
        return () => {
          database.faults = NO_STATEMENT_FAULTS;
        };
      case 'db-full':
        database.faults = { ...NO_STATEMENT_FAULTS, frozen: 0.7 };
        this.world.in(fault.frozenForMs, () => {
          if (this.ends.has(fault.id)) database.faults = { ...NO_STATEMENT_FAULTS, full: 1 };
        });
        return () => {
          database.faults = NO_STATEMENT_FAULTS;
        };
      case 'db-failover':
        if (!database.isUp) return () => undefined;
        database.failOver(fault.loseMs, fault.replacedForMs);
        return () => database.start();
      case 'handover':
        this.handOver();
        return () => undefined;
    }
  }

  private crash({ who, disk: what }: Extract<Fault, { kind: 'crash' }>): () => void {
    this.cluster.keepDown(who);
    const disk = this.cluster.disk(who);
    if (what === 'lost') disk.wipe();
    else if (what !== 'kept') disk.damage('snapshot', what, this.world.rng(who).next());
    return () => this.cluster.bringUp(who);
  }

  /** As on SIGTERM; what does not end by itself is ended. */
  private stop(who: string): () => void {
    const process = this.cluster.processOf(who);
    const node = this.cluster.nodes.get(who);
    if (process === undefined || node === undefined) return () => undefined;
    const gone = () => {
      if (process.alive) this.cluster.kill(who);
    };
    process.deliver(() => {
      node.stop().then(
        () => this.world.in(0, gone),
        (error: unknown) => this.world.fail('a node did not stop', String(error)),
      );
    });
    this.world.in(STOP_WITHIN_MS, gone);
    return () => {
      // Whoever starts it again waits for its end.
      const again = () => {
        if (process.alive) this.world.in(500, again);
        else this.cluster.start(who);
      };
      again();
    };
  }

  private cut({ from, to, oneWay }: Extract<Fault, { kind: 'cut' }>): () => void {
    const { network } = this.cluster;
    const each = (change: (a: string, b: string) => void) => {
      for (const a of from) {
        for (const b of to) {
          change(a, b);
          if (!oneWay) change(b, a);
        }
      }
    };
    each((a, b) => network.cut(a, b));
    return () => each((a, b) => network.mend(a, b));
  }

  /** An operator asks for it, by way of some node's bus. */
  private handOver(): void {
    const name = this.cluster.namesOf('node').find((other) => this.cluster.processOf(other) !== undefined);
    const process = name === undefined ? undefined : this.cluster.processOf(name);
    if (process === undefined) return;
    this.cluster.broker.publish(process, {
      subject: 'failover.handover',
      payload: {},
      reply: (answer) => this.world.note(`handover: ${JSON.stringify(answer).slice(0, 120)}`, 'fault'),
    });
  }
}
