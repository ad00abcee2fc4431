import type { Disk } from '../world/disk.js';
import type { Network } from '../world/network.js';
import type { SimProcess } from '../world/process.js';

/** What the process whose code runs stands on: what stand-ins for modules of the platform ask for. */
export interface Machine {
  process: SimProcess;
  network: Network;
  disk(dataDir: string): Disk;
  /** The process that runs under a name now. */
  peer(name: string): SimProcess | undefined;
}

let find: (() => Machine) | undefined;

export function provideMachines(finder: (() => Machine) | undefined): void {
  find = finder;
}

export function theMachine(): Machine {
  if (find === undefined) throw new Error('no simulation runs');
  return find();
}
