import type { IncomingMessage } from 'node:http';
import { HEADERS, Problem } from '#libs/contracts';
import { type Clock, secretMatcher, systemClock } from '#libs/kernel';
import { CLOCK_WINDOW_MS, type SignatureFault } from './domain/signature-fault.js';
import { isSameMac } from './domain/signed-request.js';
import type { OwnAuthorities } from './own-authorities.js';
import { hashOf } from './request-signer.js';
import { RequestVerifier } from './request-verifier.js';

/**
 * What a request proves of its sender: `member` has the cluster key and may ask for anything; `reader` is a gateway of
 * this cluster with a plain read; `nobody` proved nothing.
 */
export type SenderRole = 'member' | 'reader' | 'nobody';

export interface ProofVerdict {
  standing: SenderRole;
  /** A proof was shown and is wrong: the request is refused, whatever it asks for. */
  fault?: Problem;
  /** The body must have this SHA-256. */
  bodyHash?: Buffer;
}

const NOBODY: ProofVerdict = { standing: 'nobody' };
const READER: ProofVerdict = { standing: 'reader' };
const MEMBER: ProofVerdict = { standing: 'member' };

/** Judges the proofs that requests show: a signature, a read proof, or an operator's cluster key in clear. */
export class ClusterProofs {
  private readonly isClusterKey: (given: string) => boolean;
  private readonly verifier: RequestVerifier;
  /** A signature is accepted once, and a request is judged several times. */
  private readonly judged = new WeakMap<IncomingMessage, ProofVerdict>();

  constructor(
    clusterKey: string,
    private readonly own: OwnAuthorities,
    clock: Clock = systemClock,
  ) {
    this.isClusterKey = secretMatcher(clusterKey);
    this.verifier = new RequestVerifier(clusterKey, clock);
  }

  judge(request: IncomingMessage): ProofVerdict {
    const { [HEADERS.signature]: signature, [HEADERS.clusterKey]: clusterKey } = request.headers;
    if (signature === undefined && clusterKey === undefined) return NOBODY;
    const before = this.judged.get(request);
    if (before !== undefined) return before;
    if (clusterKey !== undefined && (typeof clusterKey !== 'string' || !this.isClusterKey(clusterKey))) {
      return { standing: 'nobody', fault: new Problem('forbidden', 'this is not the key of this cluster') };
    }
    if (signature === undefined) return MEMBER;
    const judgement = this.judgeSignature(request, String(signature));
    if (judgement !== READER) this.judged.set(request, judgement);
    return judgement;
  }

  /** Why the request may not ask for what is only for processes of the cluster; undefined = it may. */
  memberFault(request: IncomingMessage): Problem | undefined {
    const { standing, fault } = this.judge(request);
    if (fault !== undefined) return fault;
    return standing === 'member'
      ? undefined
      : new Problem('forbidden', 'this is for processes of the cluster: the request is not signed');
  }

  /** Why the body is not the one that was signed; undefined when it is, or when none was signed. */
  bodyFault(request: IncomingMessage, body: unknown): Problem | undefined {
    const expected = this.judged.get(request)?.bodyHash;
    if (expected === undefined) return undefined;
    if (body !== undefined && body !== null && typeof body !== 'string' && !Buffer.isBuffer(body)) {
      throw new Error('the body of a signed request is not kept as the bytes that were sent');
    }
    if (isSameMac(hashOf(body ?? undefined), expected)) return undefined;
    return new Problem('forbidden', 'the body is not the one that was signed', { reason: 'other-body' });
  }

  private judgeSignature(request: IncomingMessage, text: string): ProofVerdict {
    const { method = '', url: path = '', headers, rawHeaders, socket } = request;
    const authority = headers.host ?? '';
    if (text.startsWith('r1.')) {
      const isRead = method === 'GET' || method === 'HEAD';
      if (isRead && this.verifier.isReadProof(text, authority)) return READER;
      return { standing: 'nobody', fault: problemOf('wrong-mac', 0, authority) };
    }
    const asked = { method, authority, path, headers: rawHeaders };
    const verdict = this.verifier.verify(text, asked, this.own.has(authority, socket));
    if (verdict.accepted) return { standing: 'member', bodyHash: verdict.bodyHash };
    return { standing: 'nobody', fault: problemOf(verdict.fault, verdict.behindMs, authority) };
  }
}

function problemOf(fault: SignatureFault, behindMs: number, authority: string): Problem {
  const code = fault === 'too-many' ? 'cluster-busy' : 'forbidden';
  return new Problem(code, detailOf(fault, behindMs, authority), { reason: fault });
}

function detailOf(fault: SignatureFault, behindMs: number, authority: string): string {
  switch (fault) {
    case 'malformed':
    case 'wrong-mac':
      return 'the signature is not one of this cluster for this request';
    case 'other-receiver':
      return `the request was signed for '${authority}', which is not an address of this process: set HOLDFAST_ADDRESS or HOLDFAST_PUBLIC_HOSTS`;
    case 'clock-apart':
      return `by the clock of this machine the request was signed ${behindMs} ms ago, ${CLOCK_WINDOW_MS} ms are allowed either way: the clock of the sender or of this machine is wrong`;
    case 'before-start':
      return 'the request was signed before this process started: sign it again';
    case 'replayed':
      return 'the request was accepted before: sign it again';
    case 'too-many':
      return 'more requests are signed than this process can remember';
  }
}
