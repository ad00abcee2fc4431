import { Problem } from '#libs/contracts';
import { theMachine } from '../cluster/machine.js';
import { type Answer, CallFailed } from '../world/network.js';

/** Where an address of the simulated cluster leads: `http://n1:7400` is process n1. */
export function hostOf(address: string): string {
  let host = hosts.get(address);
  if (host === undefined) {
    host = address.slice('http://'.length).split(/[:/]/, 1)[0] ?? '';
    hosts.set(address, host);
  }
  return host;
}
/** There are few addresses and doors. */
const hosts = new Map<string, string>();

/** Calls a door of another process, bounded in time. Rejects as an HTTP client does. */
export function callDoor(url: string, body: unknown, timeoutMs: number): Promise<Answer> {
  const { network, process } = theMachine();
  const host = hostOf(url);
  const path = url.slice(url.indexOf('/', 'http://'.length));
  return new Promise((resolve, reject) => {
    const timer = process.timer(timeoutMs, () => {
      call.abandon();
      reject(new Error(`no answer within ${timeoutMs} ms`));
    });
    const call = network.call(process, host, { path, body }, (result) => {
      timer.run = undefined;
      if (result instanceof CallFailed) reject(result);
      else resolve(result);
    });
  });
}

/** The same for an answer in JSON; an error that the door gives is thrown. */
export function askDoor<T>(url: string, body: unknown, timeoutMs: number): Promise<T> {
  return callDoor(url, body, timeoutMs).then(({ status, body: answer }) => {
    if (status >= 200 && status < 300) return answer as T;
    throw answer instanceof Problem ? answer : new Error(`status ${status}`);
  });
}
