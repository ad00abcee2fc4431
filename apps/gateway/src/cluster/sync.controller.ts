import { Controller, Get, Header, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { parseQuery, QUERIES, type SyncReport } from '#libs/contracts';
import { Bus } from '#libs/messaging';
import { unavailable } from './unavailable.js';

const REPORT_TIMEOUT_MS = 3_000;

/** Asked of the sync service, which knows where every node stands. */
@Controller('v1/sync')
export class SyncApiController {
  constructor(private readonly bus: Bus) {}

  @Get()
  @Header('cache-control', 'no-store')
  async report(@Req() request: FastifyRequest): Promise<SyncReport> {
    parseQuery(QUERIES.none, request.url);
    try {
      return await this.bus.request('sync.report', {}, { timeoutMs: REPORT_TIMEOUT_MS });
    } catch (error) {
      throw unavailable(error, 'the sync service', 'no-available-node');
    }
  }
}
