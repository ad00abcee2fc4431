import { theMachine } from '../cluster/machine.js';
import { hostOf } from './http.js';

export type DialOutcome = 'accepted' | 'refused' | 'unclear';

/** A new connection: taken by the kernel of a host whose process lives, even a paused one. */
export function dial(address: string, timeoutMs: number): Promise<DialOutcome> {
  return new Promise((resolve) => dialThen(address, timeoutMs, resolve));
}

export function dialThen(address: string, timeoutMs: number, done: (outcome: DialOutcome) => void): void {
  const { network, process } = theMachine();
  const host = hostOf(address);
  const timer = process.timer(timeoutMs, () => done('unclear'));
  if (!network.joined(process.name, host)) return;
  const outcome = network.isListening(host) ? 'accepted' : 'refused';
  process.deliverIn(network.delayMs(process.name, host) + network.delayMs(host, process.name), () => {
    if (timer.run === undefined) return;
    timer.run = undefined;
    done(outcome);
  });
}
