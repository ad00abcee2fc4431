import { ask } from './running-gateway.js';

/** Samples of one metric of a gateway, by one of its labels, summed over the others. */
export async function samplesOf(
  base: string,
  metric: string,
  label = 'node',
): Promise<Record<string, number>> {
  const { text } = await ask(base, 'GET', '/metrics');
  const samples: Record<string, number> = {};
  for (const line of text.split('\n')) {
    if (!line.startsWith(`holdfast_${metric}{`)) continue;
    const name = new RegExp(`[{,]${label}="([^"]*)"`).exec(line)?.[1] ?? '';
    samples[name] = (samples[name] ?? 0) + Number(line.slice(line.lastIndexOf(' ')));
  }
  return samples;
}
