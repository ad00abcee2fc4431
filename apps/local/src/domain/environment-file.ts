/**
 * The settings of a process as a file that both `node --env-file=` and a shell (`set -a; . file`) read, so that the
 * process can be started by hand.
 */
export function environmentFile(
  name: string,
  command: string,
  variables: Readonly<Record<string, string>>,
): string {
  const lines = Object.entries(variables).map(([variable, value]) => `${variable}=${quote(value)}`);
  return [
    `# Settings of ${name}, written at every start. Secrets inside: for your eyes only.`,
    '# A process by hand (variables that you set yourself win over this file):',
    `#   ${command}`,
    ...lines,
    '',
  ].join('\n');
}

function quote(value: string): string {
  return value.includes("'") ? `"${value}"` : `'${value}'`;
}
