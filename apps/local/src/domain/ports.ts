/** Which owners need a (new) port: those that have none yet, and those whose port somebody else has taken. */
export function portsToChoose(
  owners: readonly string[],
  kept: Readonly<Record<string, number>>,
  isFree: (port: number) => boolean,
): string[] {
  const used = new Set<number>();
  return owners.filter((owner) => {
    const port = kept[owner];
    if (port === undefined || used.has(port) || !isFree(port)) return true;
    used.add(port);
    return false;
  });
}
