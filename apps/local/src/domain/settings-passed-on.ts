/** Decided here for every process of a local cluster, whatever the user's environment says. */
const OWN = /^HOLDFAST_(HOME|PORT|BIND|NO_INSTALL|CONFIG)$/;
const DECIDED_HERE =
  /^HOLDFAST_(ADDRESS|NODE_ID|INSTANCE_ID|NODE_ROLE|DATA_DIR|NODES|PRESET|SUPERVISOR_ADDRESS|POSTGRES_.*|NATS_.*|REDIS_.*|CLUSTER_KEY.*|SUPERUSER_PASSWORD.*|ROLE_PASSWORDS_DIR)$/;

/**
 * Which of the user's variables reach the processes (such as HOLDFAST_LOG_LEVEL), and which have no meaning for a
 * cluster that brings its own servers, so that the user can be told.
 */
export function splitVariables(environment: Readonly<Record<string, string | undefined>>): {
  passedOn: Record<string, string>;
  ignored: string[];
} {
  const passedOn: Record<string, string> = {};
  const ignored: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith('HOLDFAST_') || value === undefined || OWN.test(name)) continue;
    if (DECIDED_HERE.test(name)) ignored.push(name);
    else passedOn[name] = value;
  }
  return { passedOn, ignored };
}

/** What else a child gets of the user's environment. PG* and NODE_OPTIONS are not among it: they would change what runs. */
const INHERITED = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'NODE_EXTRA_CA_CERTS'];

export function inheritedVariables(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const inherited: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = environment[name];
    if (value !== undefined) inherited[name] = value;
  }
  return inherited;
}
