import type { ConfigTables, Undo } from './config-tables.js';
import type { Effect } from './statements.js';

interface Verdict {
  nodeId: string;
  incarnation: number;
  seq: number;
  verdict: string;
  reason: string | null;
  confirmed: boolean;
  announced: boolean;
}

interface Kept {
  nodeId: string;
}

interface View {
  instanceId: string;
  nodeId: string;
  incarnation: number;
  reason: string;
  view: string;
  agrees: boolean;
  asks: boolean;
  atMs: number;
}

interface Fact {
  id: string;
  subject: string;
  payload: unknown;
  published: boolean;
  atMs: number;
}

const WITNESS_LIVES_MS = 2_000;
const LATELY_MS = 1_000;
const JUST_TOLD_MS = 250;

/** Schema `failover` as a model: what the statements of FailoverStore and HeadStore read and write. */
export class FailoverTables {
  private readonly witnesses = new Map<string, number>();
  private readonly views = new Map<string, View>();
  private readonly verdicts = new Map<string, Verdict>();
  private readonly recoveries = new Map<string, Kept>();
  private readonly holds = new Map<string, Kept>();
  private planSeq = 0;
  private facts: Fact[] = [];

  execute(config: ConfigTables, name: string, values: readonly unknown[], nowMs: number): Effect | undefined {
    switch (name) {
      case 'failover.head':
      case 'sync.head':
        return rows([{ ...config.head }]);
      case 'failover.claim':
        return this.claim(config, values, nowMs);
      case 'failover.renew':
        return this.renew(values[0] as string, nowMs);
      case 'failover.save-view':
        return this.saveView(values, nowMs);
      case 'failover.views':
        return this.readViews(values, nowMs);
      case 'failover.questions':
        return this.questions(values[0] as string, nowMs);
      case 'failover.verdict':
        return this.saveVerdict(values, nowMs);
      case 'failover.verdicts':
        return rows([...this.verdicts.values()]);
      case 'failover.recovery-read':
        return this.readRecovery(nowMs);
      case 'failover.recovery-write':
        return this.writeRecovery(values, nowMs);
      case 'failover.unpublished':
        return rows(
          this.facts
            .filter((fact) => !fact.published && nowMs - fact.atMs > LATELY_MS)
            .slice(0, values[0] as number),
        );
      case 'failover.mark-published':
        for (const fact of this.facts) if ((values[0] as string[]).includes(fact.id)) fact.published = true;
        this.facts = this.facts.slice(-200);
        return rows([]);
      default:
        return undefined;
    }
  }

  private claim(config: ConfigTables, values: readonly unknown[], nowMs: number): Effect {
    const [
      seenTerm,
      suspect,
      winner,
      incarnation,
      highestTerm,
      address,
      reason,
      ,
      electedBy,
      detectMs,
      electMs,
    ] = values as [
      number,
      string | null,
      string,
      number,
      number,
      string,
      string,
      string,
      string,
      number,
      number,
    ];
    const undoHead = config.claim({ seenTerm, suspect, winner, incarnation, highestTerm });
    if (undoHead === undefined) return rows([]);
    const { term, version } = config.head;
    const payload = {
      term,
      leaderId: winner,
      leaderAddress: address,
      incarnation,
      previousLeaderId: suspect,
      version,
      reason,
      timings: { detectMs, electMs },
      at: new Date(nowMs).toISOString(),
      electedBy,
    };
    const fact = {
      id: `leader.elected/${term}`,
      subject: 'leader.elected',
      payload,
      published: false,
      atMs: nowMs,
    };
    this.facts.push(fact);
    const undo: Undo = () => {
      undoHead();
      this.facts = this.facts.filter((other) => other !== fact);
    };
    return { ...rows([{ payload }]), undo };
  }

  private renew(instanceId: string, nowMs: number): Effect {
    this.witnesses.set(instanceId, nowMs);
    const others = [...this.witnesses].filter(
      ([id, atMs]) => id !== instanceId && nowMs - atMs < WITNESS_LIVES_MS,
    );
    return rows(others.map(([id]) => ({ instanceId: id })));
  }

  private saveView(values: readonly unknown[], nowMs: number): Effect {
    const [instanceId, nodeId, incarnation, reason, view, agrees, asks] = values as [
      string,
      string,
      number,
      string,
      string,
      boolean,
      boolean,
    ];
    this.views.set(`${instanceId}/${nodeId}`, {
      instanceId,
      nodeId,
      incarnation,
      reason,
      view,
      agrees,
      asks,
      atMs: nowMs,
    });
    return rows([]);
  }

  private readViews(values: readonly unknown[], nowMs: number): Effect {
    const [instanceId, nodeId, incarnation, reason] = values as [string, string, number, string];
    const found = [...this.views.values()].filter(
      (view) =>
        view.nodeId === nodeId &&
        view.incarnation === incarnation &&
        view.reason === reason &&
        view.instanceId !== instanceId &&
        nowMs - view.atMs < LATELY_MS,
    );
    return rows(found.map(({ instanceId, view, agrees }) => ({ instanceId, view, agrees })));
  }

  private questions(instanceId: string, nowMs: number): Effect {
    const open = [...this.views.values()].filter((question) => {
      if (!question.asks || question.instanceId === instanceId || nowMs - question.atMs >= LATELY_MS)
        return false;
      const mine = this.views.get(`${instanceId}/${question.nodeId}`);
      return !(
        mine?.incarnation === question.incarnation &&
        mine.reason === question.reason &&
        nowMs - mine.atMs < LATELY_MS
      );
    });
    return rows(
      open.map(({ instanceId: askedBy, nodeId, incarnation, reason }) => ({
        askedBy,
        nodeId,
        incarnation,
        reason,
      })),
    );
  }

  private saveVerdict(values: readonly unknown[], nowMs: number): Effect {
    const [nodeId, incarnation, verdict, reason] = values as [string, number, string, string | null];
    const confirmedBy: unknown[] = JSON.parse(values[5] as string);
    const evidence: { announcedStop?: boolean } = JSON.parse(values[6] as string);
    const subject = values[8] as string;
    const payload: object = JSON.parse(values[9] as string);
    const before = this.verdicts.get(nodeId);
    if (before !== undefined && before.incarnation > incarnation) return rows([]);
    const isSame =
      before?.incarnation === incarnation && before.verdict === verdict && before.reason === reason;
    const seq = isSame ? before.seq : (before?.seq ?? 0) + 1;
    const id = `${subject}/${nodeId}/${seq}`;
    if (isSame) {
      const told = this.facts.some((fact) => fact.id === id && nowMs - fact.atMs < JUST_TOLD_MS);
      return rows(told ? [] : [{ id, subject, payload: { ...payload, seq } }]);
    }
    const confirmed = confirmedBy.length > 0;
    const announced = evidence.announcedStop ?? false;
    this.verdicts.set(nodeId, { nodeId, incarnation, seq, verdict, reason, confirmed, announced });
    this.tell(id, subject, { ...payload, seq }, nowMs);
    return rows([{ id, subject, payload: { ...payload, seq } }]);
  }

  private readRecovery(nowMs: number): Effect {
    const witnesses = [...this.witnesses.values()].filter((atMs) => nowMs - atMs < WITNESS_LIVES_MS).length;
    const verdicts = [...this.verdicts.values()].map(({ verdict, ...row }) => ({
      ...row,
      failed: verdict === 'failed',
    }));
    const recoveries = [...this.recoveries.values()];
    const holds = [...this.holds.values()];
    return rows([{ planSeq: this.planSeq, nowMs, witnesses, recoveries, holds, verdicts }]);
  }

  private writeRecovery(values: readonly unknown[], nowMs: number): Effect {
    const [seen, recoveries, , holds, facts] = values as [number, string, string, string, string];
    if (seen !== this.planSeq) return rows([]);
    this.planSeq++;
    for (const row of JSON.parse(recoveries) as Kept[]) this.recoveries.set(row.nodeId, row);
    for (const row of JSON.parse(holds) as Kept[]) this.holds.set(row.nodeId, row);
    for (const { id, subject, payload } of JSON.parse(facts) as Fact[])
      this.tell(id, subject, payload, nowMs);
    return rows([{ seq: this.planSeq }]);
  }

  private tell(id: string, subject: string, payload: unknown, nowMs: number): void {
    this.facts.push({ id, subject, payload, published: false, atMs: nowMs });
  }
}

function rows(found: object[]): Effect {
  return { rows: found, rowCount: found.length };
}
