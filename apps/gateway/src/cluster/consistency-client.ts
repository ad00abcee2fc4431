import { Injectable } from '@nestjs/common';
import type { ConsistencyCheckReply, ConsistencyReport } from '#libs/contracts';
import { Bus } from '#libs/messaging';
import { unavailable } from './unavailable.js';

const REPORT_TIMEOUT_MS = 3_000;
/** Digests that differ are looked into key by key. */
const CHECK_TIMEOUT_MS = 15_000;
/** Besides, a hundred keys are set right at 20 a second, or whole states are loaded anew. */
const REPAIR_TIMEOUT_MS = 60_000;

/** Asked of the consistency service, which compares and keeps what it found. */
@Injectable()
export class ConsistencyClient {
  constructor(private readonly bus: Bus) {}

  async report(): Promise<ConsistencyReport> {
    try {
      return await this.bus.request('consistency.report', {}, { timeoutMs: REPORT_TIMEOUT_MS });
    } catch (error) {
      throw unavailable(error, 'the consistency service', 'no-available-node');
    }
  }

  async check(repair: boolean): Promise<ConsistencyCheckReply> {
    const timeoutMs = repair ? REPAIR_TIMEOUT_MS : CHECK_TIMEOUT_MS;
    try {
      return await this.bus.request('consistency.check', { repair }, { timeoutMs });
    } catch (error) {
      throw unavailable(error, 'the consistency service', repair ? 'outcome-unknown' : 'no-available-node');
    }
  }
}
