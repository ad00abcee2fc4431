import { Body, Controller, Get, Header, HttpCode, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { HandoverRequest, Problem, parseQuery, QUERIES } from '#libs/contracts';
import { ClusterService } from './cluster.service.js';

@Controller('v1')
export class ClusterController {
  constructor(private readonly cluster: ClusterService) {}

  @Get('cluster')
  @Header('cache-control', 'no-store')
  view(@Req() request: FastifyRequest) {
    parseQuery(QUERIES.none, request.url);
    return this.cluster.view();
  }

  @Get('cluster/elections')
  @Header('cache-control', 'no-store')
  elections(@Req() request: FastifyRequest) {
    const { limit } = parseQuery(QUERIES.elections, request.url);
    return this.cluster.elections(limit);
  }

  @Get('nodes/:id')
  @Header('cache-control', 'no-store')
  node(@Param('id') id: string, @Req() request: FastifyRequest) {
    parseQuery(QUERIES.none, request.url);
    return this.cluster.node(id);
  }

  @Post('cluster/handover')
  @HttpCode(200)
  handover(@Body() body: unknown, @Req() request: FastifyRequest) {
    parseQuery(QUERIES.none, request.url);
    if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
      throw new Problem('unsupported-content-type', 'send application/json, {} for any target');
    }
    const parsed = HandoverRequest.strict().safeParse(body ?? {});
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw new Problem(
        'invalid-field',
        `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'not valid'}`,
      );
    }
    return this.cluster.handover(parsed.data.to);
  }
}
