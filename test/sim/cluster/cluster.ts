import type { Rng } from '#libs/kernel';
import type { Oracle } from '../check/oracle.js';
import { SimDatabase } from '../database/database.js';
import { Broker } from '../world/broker.js';
import { Disk } from '../world/disk.js';
import { Network } from '../world/network.js';
import { SimProcess } from '../world/process.js';
import type { World } from '../world/world.js';
import { SimNode } from './config-node.js';
import { startFailover } from './failover.js';
import { SimGateway } from './gateway.js';
import { provideMachines } from './machine.js';
import type { Platform } from './platform.js';
import { type RegistryRows, startRegistry } from './registry.js';
import { startSync } from './sync.js';

/** From the end of a process to its next beginning. */
const RESTART_MS = 300;

export type Kind = 'node' | 'observer' | 'failover' | 'gateway' | 'registry' | 'sync';

export interface Shape {
  voters: number;
  observers: number;
  failovers: number;
  gateways: number;
}

interface Place {
  name: string;
  kind: Kind;
  index: number;
  lives: number;
  process: SimProcess | undefined;
}

/** Every process of the system with the network, the bus and the database between them. */
export class Cluster implements Platform {
  readonly network: Network;
  readonly broker: Broker;
  readonly database: SimDatabase;
  readonly disks = new Map<string, Disk>();
  readonly nodes = new Map<string, SimNode>();
  readonly gateways = new Map<string, SimGateway>();
  readonly nodeSeeds: { id: string; address: string }[];
  private readonly places: Place[] = [];
  private readonly registryRows: RegistryRows = new Map();
  private readonly down = new Set<string>();
  private readonly rng: Rng;

  constructor(
    readonly world: World,
    readonly oracle: Oracle,
    shape: Shape,
  ) {
    this.rng = world.rng('cluster');
    this.network = new Network(world);
    this.broker = new Broker(world, this.network);
    this.database = new SimDatabase(world, oracle);
    this.add('node', 'n', shape.voters);
    this.add('observer', 'o', shape.observers);
    this.add('failover', 'f', shape.failovers);
    this.add('registry', 'r', 1);
    this.add('sync', 's', 1);
    this.add('gateway', 'g', shape.gateways);
    this.nodeSeeds = this.namesOf('node', 'observer').map((id) => ({ id, address: `http://${id}:7400` }));
    provideMachines(() => {
      const process = world.current;
      if (process === undefined) throw new Error('a stand-in was called outside of any process');
      return {
        process,
        network: this.network,
        disk: (dataDir) => this.disk(dataDir),
        peer: (name) => this.processOf(name),
      };
    });
  }

  namesOf(...kinds: readonly Kind[]): string[] {
    return this.places.filter((place) => kinds.includes(place.kind)).map((place) => place.name);
  }

  get allNames(): string[] {
    return this.places.map((place) => place.name);
  }

  processOf(name: string): SimProcess | undefined {
    const process = this.places.find((place) => place.name === name)?.process;
    return process?.alive ? process : undefined;
  }

  disk(name: string): Disk {
    let disk = this.disks.get(name);
    if (disk === undefined) {
      disk = new Disk();
      this.disks.set(name, disk);
    }
    return disk;
  }

  /** Everybody, within a second. */
  startAll(): void {
    for (const { name } of this.places) this.world.in(this.rng.next() * 1_000, () => this.start(name));
  }

  start(name: string): void {
    const place = this.places.find((other) => other.name === name);
    if (place === undefined || place.process?.alive || this.isDown(name)) return;
    const skewMs = place.process?.skewMs ?? (this.rng.next() - 0.5) * 2_000;
    const process = new SimProcess(this.world, name, place.index, ++place.lives, skewMs);
    place.process = process;
    this.broker.tidy();
    process.deliver(() => this.boot(place, process));
  }

  restart(name: string): void {
    if (this.isDown(name)) return; // its machine is down: nobody can start it there
    this.kill(name);
    this.world.in(RESTART_MS, () => this.start(name));
  }

  /** As long as that, nobody starts it. */
  keepDown(name: string): void {
    this.down.add(name);
    this.kill(name);
  }

  bringUp(name: string): void {
    this.down.delete(name);
    this.start(name);
  }

  private isDown(name: string): boolean {
    return this.down.has(name);
  }

  /** The process ends without a word. */
  kill(name: string): void {
    this.processOf(name)?.kill();
    if (this.nodes.delete(name)) this.oracle.died(name);
    this.gateways.delete(name);
  }

  private boot(place: Place, process: SimProcess): void {
    switch (place.kind) {
      case 'node':
      case 'observer': {
        const node = new SimNode(this, process, place.kind === 'node');
        this.nodes.set(place.name, node);
        node.start().catch((error: unknown) => this.world.fail('a node did not start', String(error)));
        return;
      }
      case 'failover':
        startFailover(this, process);
        return;
      case 'registry':
        startRegistry(this, process, this.registryRows);
        return;
      case 'sync':
        startSync(this, process);
        return;
      case 'gateway':
        this.gateways.set(place.name, new SimGateway(this, process));
        return;
    }
  }

  private add(kind: Kind, letter: string, count: number): void {
    for (let i = 1; i <= count; i++) {
      const index = this.places.length + 1;
      this.places.push({ name: `${letter}${i}`, kind, index, lives: 0, process: undefined });
    }
  }
}
