import { HealthBody, type ProbeResult } from '#libs/contracts';

/** What one probe found, by name. */
export interface Finding {
  result: ProbeResult;
  /** Names of the checks that failed. */
  failed?: string[];
  /** Of the process that answered, when it says so. */
  incarnation?: number;
  retryAfterMs?: number;
}

export interface HealthResponse {
  status: number;
  retryAfter: string | undefined;
  body: string;
}

const MAX_NAMES = 20;

/** What an answer to `GET /health` means when it was to come from `nodeId`. `wallMs` is for a Retry-After with a date. */
export function findingOf(answer: HealthResponse, nodeId: string, wallMs: number): Finding {
  const { status } = answer;
  const retryAfterMs = retryAfterOf(answer.retryAfter, wallMs);
  if ((status === 429 || status === 503) && retryAfterMs !== undefined) {
    return { result: 'busy', retryAfterMs };
  }
  if (status !== 200 && status !== 503) return { result: 'bad-status' };
  const report = reportIn(answer.body);
  if (report === undefined) return { result: status === 503 ? 'not-ready' : 'garbled' };
  const { incarnation, checks } = report;
  // Another process has got the port of one that is gone.
  if (report.nodeId !== undefined && report.nodeId !== nodeId) return { result: 'garbled' };
  const who = incarnation === undefined || incarnation === 0 ? {} : { incarnation };
  if (status === 200 && report.status === 'ready') return { result: 'ok', ...who };
  const failed = Object.entries(checks)
    .filter(([, check]) => !check.ok)
    .map(([name]) => name.slice(0, 64));
  return { result: 'not-ready', failed: failed.slice(0, MAX_NAMES), ...who };
}

/** Why no answer came, from the code of the error that the client gave. */
export function findingOfError(code: string | undefined): Finding {
  switch (code) {
    case 'ECONNREFUSED':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return { result: 'refused' };
    case 'ETIMEDOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return { result: 'timeout' };
    default:
      return {
        result: code?.startsWith('HPE_') || code === 'UND_ERR_HEADERS_OVERFLOW' ? 'garbled' : 'reset',
      };
  }
}

function reportIn(body: string): HealthBody | undefined {
  try {
    const parsed = HealthBody.safeParse(JSON.parse(body));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined; // not JSON: no report, which is what the caller is told
  }
}

/** RFC 9110, 10.2.3: seconds or a date. Undefined when absent or neither. */
function retryAfterOf(value: string | undefined, wallMs: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const atMs = /[A-Za-z]/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - wallMs);
}
