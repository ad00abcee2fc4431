import type { Oracle } from '../check/oracle.js';
import type { SimDatabase } from '../database/database.js';
import type { Broker } from '../world/broker.js';
import type { Network } from '../world/network.js';

/** What every process of the cluster is built on. */
export interface Platform {
  readonly network: Network;
  readonly broker: Broker;
  readonly database: SimDatabase;
  readonly oracle: Oracle;
  /** Ends a node's process, if it runs, and starts it anew: what whoever runs the processes does. */
  restart(name: string): void;
  /** The nodes, as settings name them. */
  readonly nodeSeeds: readonly { id: string; address: string }[];
}
