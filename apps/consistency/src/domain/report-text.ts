import type {
  ConsistencyCheckReply,
  ConsistencyRepaired,
  ConsistencyReport,
  Difference,
} from '#libs/contracts';

const SHOWN = 10;

/** What an operator wants to know, on one screen. */
export function verdictLines(check: ConsistencyCheckReply, report: ConsistencyReport): string[] {
  const { version, chain, tookMs, consistent } = check;
  const where = `version ${version} (chain ${chain.slice(0, 12)}…), compared in ${Math.round(tookMs)} ms`;
  return [
    `${consistent ? 'CONSISTENT' : 'NOT CONSISTENT'}: ${where}`,
    truthLine(report.truth),
    '',
    ...nodeLines(check, report),
    ...check.found.flatMap(foundLines),
    ...repairLines('Done now', check.repairs),
    ...repairLines('Last repairs', check.repairs.length > 0 ? [] : report.repairs),
    ...discardedLines(report.discarded),
  ];
}

function truthLine(truth: ConsistencyReport['truth']): string {
  if (truth === null) return 'Not compared with the state in the database yet.';
  const { version, entries, at, match, suspect, unknown } = truth;
  const nodes = `${match.length} equal, ${suspect.length} not, ${unknown.length} unknown`;
  return `With the state in the database at version ${version} (${entries} keys), ${at}: ${nodes}`;
}

function nodeLines({ nodes }: ConsistencyCheckReply, report: ConsistencyReport): string[] {
  return nodes.map(({ nodeId, result, reason }) => {
    const since = report.nodes.find((node) => node.nodeId === nodeId && node.result === result)?.since;
    const why = reason === null ? '' : ` (${reason})`;
    return `  ${nodeId.padEnd(16)} ${`${result}${why}`.padEnd(28)} ${since === undefined ? '' : `since ${since}`}`.trimEnd();
  });
}

function foundLines({ nodeId, differences, more }: ConsistencyCheckReply['found'][number]): string[] {
  const hidden = Math.max(0, differences.length - SHOWN) + more;
  return [
    '',
    `Wrong on ${nodeId}:`,
    ...differences.slice(0, SHOWN).map((difference) => `  ${differenceText(difference)}`),
    ...(hidden > 0 ? [`  and ${hidden} more`] : []),
  ];
}

function repairLines(title: string, repairs: readonly ConsistencyRepaired[]): string[] {
  if (repairs.length === 0) return [];
  const shown = repairs.slice(0, SHOWN).map(({ at, place, outcome, why, difference }) => {
    const what = difference === null ? `the whole state (${why})` : differenceText(difference);
    return `  ${at} ${place} ${outcome}: ${what}`;
  });
  return ['', `${title}:`, ...shown];
}

function discardedLines(discarded: ConsistencyReport['discarded']): string[] {
  if (discarded.length === 0) return [];
  const shown = discarded.slice(0, SHOWN).map(({ at, nodeId, from, to, changes, file }) => {
    const where = file === null ? 'nothing of it is kept' : `${changes} changes are kept in ${file}`;
    return `  ${at} ${nodeId} gave up versions ${from} to ${to}: ${where}`;
  });
  return ['', 'Lost by the database:', ...shown];
}

function differenceText({ namespace, key, class: kind, expected, found }: Difference): string {
  if (kind === 'digest') return `digest of bucket ${key}`;
  const state = (of: Difference['found']) =>
    of === null ? 'nothing' : `${of.version} ${of.checksum.slice(7, 19)}`;
  return `${namespace}/${key} ${kind}: should be ${state(expected)}, is ${state(found)}`;
}
