import { type Clock, deriveKey, systemClock } from '#libs/kernel';
import { READ_SLOT_MS, readProof, readSlotAt } from './domain/read-proof.js';

const MAX_ADDRESSES = 256;

/** The proofs that a gateway shows with plain reads, made once a minute for each node. */
export class ReadProofs {
  private readonly key: Buffer;
  private readonly proofs = new Map<string, string>();
  private validUntilMs = 0;
  private slot = 0;

  constructor(
    clusterKey: string,
    private readonly clock: Clock = systemClock,
  ) {
    this.key = deriveKey(clusterKey, 'http-mac');
  }

  /** For the node at `address`, e.g. `http://10.0.0.7:7400`. */
  at(address: string): string {
    const nowMs = this.clock.wallMs();
    if (nowMs >= this.validUntilMs || nowMs < this.validUntilMs - READ_SLOT_MS) {
      this.slot = readSlotAt(nowMs);
      this.validUntilMs = (this.slot + 1) * READ_SLOT_MS;
      this.proofs.clear();
    }
    return this.proofs.get(address) ?? this.make(address);
  }

  private make(address: string): string {
    const proof = readProof(this.key, new URL(address).host, this.slot);
    if (this.proofs.size >= MAX_ADDRESSES) this.proofs.clear();
    this.proofs.set(address, proof);
    return proof;
  }
}
