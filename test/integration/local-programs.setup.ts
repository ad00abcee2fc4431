import { ensurePrograms } from '#libs/embedded-servers';
import { loadSettings } from '#libs/settings';

/** The integration tests run real servers: those missing on this machine are installed, as by `npm start`. */
export function setup(): void {
  const { noInstall } = loadSettings(['noInstall'], {}, { argv: [], env: process.env, readFile: () => '' });
  ensurePrograms({ allowed: noInstall === '0', report: (line) => process.stderr.write(`${line}\n`) });
}
