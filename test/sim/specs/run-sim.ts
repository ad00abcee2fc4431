import { spawn } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { bundleSimulation, type Edit } from '../bundle.mjs';

/** Inside the project, so that the bundle finds the packages that it leaves outside. */
const FOLDER = resolve(import.meta.dirname, '../../../node_modules/.sim');

export interface Summary {
  runs: number;
  faults: number;
  commits: number;
  acknowledged: number;
  reads: number;
  terms: number;
  losses: number;
  simulatedMs: number;
  tookMs: number;
  failed: { seed: number; broken: string }[];
}

/** A bundle of the simulation for the time of a test; with edits, one that has a bug. */
export async function withSimulation<T>(
  edits: readonly Edit[],
  use: (file: string) => Promise<T>,
): Promise<T> {
  await mkdir(FOLDER, { recursive: true });
  const file = resolve(FOLDER, `test-${process.pid}-${++files}.mjs`);
  await bundleSimulation(file, edits);
  try {
    return await use(file);
  } finally {
    await rm(file, { force: true });
  }
}
let files = 0;

/** Runs the command line of the simulation and gives what it prints. */
export function runSim(file: string, args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  return new Promise((done, failed) => {
    child.on('error', failed);
    child.on('close', () => done(output));
  });
}

export async function searchSeeds(
  file: string,
  seeds: number,
  minutes: number,
  firstSeed = 1,
): Promise<Summary> {
  const args = ['--first', firstSeed, '--seeds', seeds, '--minutes', minutes].map(String);
  return JSON.parse(await runSim(file, [...args, '--json', '--no-shrink']));
}
