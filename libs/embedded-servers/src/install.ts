import { spawnSync } from 'node:child_process';
import {
  howToInstall,
  lookUpProgram,
  missingPrograms,
  ProgramMissing,
  type ProgramName,
} from './programs.js';

export interface InstallOptions {
  /** False (HOLDFAST_NO_INSTALL=1): nothing is ever installed. */
  allowed: boolean;
  /** Told of the command before it runs. */
  report: (line: string) => void;
}

/**
 * Makes sure that nats-server and redis-server are there: installs what is missing through the package manager when
 * that needs nobody's password, else fails with one message that says what to install.
 */
export function ensurePrograms(options: InstallOptions): void {
  const missing = missingPrograms();
  if (missing.length === 0) return;
  const installer = options.allowed ? chooseInstaller(missing) : undefined;
  if (!installer) throw new ProgramMissing(howToInstall(missing));

  options.report(`installing ${missing.join(' and ')}: ${installer.shown}`);
  const result = spawnSync(installer.program, installer.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  });
  const left = missingPrograms();
  if (left.length === 0) return;
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`.trim().split('\n').slice(-8).join('\n');
  throw new ProgramMissing(`the installation failed:\n${output}\n\n${howToInstall(left)}`);
}

interface Installer {
  /** The command as a person would type it. */
  shown: string;
  program: string;
  args: string[];
}

function chooseInstaller(missing: readonly ProgramName[]): Installer | undefined {
  if (lookUpProgram('apt-get') !== undefined && process.platform === 'linux') {
    const shown = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
    const script = ['-c', APT_SCRIPT, 'sh', ...missing];
    if (process.getuid?.() === 0) return { shown, program: '/bin/sh', args: script };
    if (mayUseSudo()) return { shown: `sudo ${shown}`, program: 'sudo', args: ['-n', '/bin/sh', ...script] };
    return undefined;
  }
  const brew = lookUpProgram('brew');
  if (brew === undefined) return undefined;
  const formulas = missing.map((name) => (name === 'redis-server' ? 'redis' : name));
  return { shown: `brew install ${formulas.join(' ')}`, program: brew, args: ['install', ...formulas] };
}

/** Only in front of a person, who sees the command, and only where sudo asks for no password. */
function mayUseSudo(): boolean {
  if (!process.stdin.isTTY || lookUpProgram('sudo') === undefined) return false;
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
}

/**
 * Debian's packages start a daemon of their own when they are installed, unless policy-rc.d forbids it (101), and
 * again at every boot, unless it is disabled. A policy-rc.d of somebody else is respected; one that allows daemons
 * is a reason to leave the installation to its owner.
 */
const APT_SCRIPT = `
set -eu
export DEBIAN_FRONTEND=noninteractive
exec 9> /run/holdfast-install.lock
flock 9
policy=/usr/sbin/policy-rc.d
mark='# Placed by Holdfast for the time of an installation.'
if [ -e "$policy" ] && grep -qF "$mark" "$policy"; then rm -f "$policy"; fi
if [ -e "$policy" ]; then
  verdict=0; "$policy" redis-server start || verdict=$?
  if [ "$verdict" -ne 101 ]; then echo "$policy would let the packages start daemons" >&2; exit 1; fi
else
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\\n%s\\nexit 101\\n' "$mark" > "$policy"
  chmod 755 "$policy"
fi
install() { apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@"; }
install "$@" || { apt-get -o DPkg::Lock::Timeout=300 update; install "$@"; }
if command -v systemctl > /dev/null; then
  for unit in "$@"; do systemctl disable "$unit.service" || echo "could not disable $unit.service" >&2; done
fi
`;
