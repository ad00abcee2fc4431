import { Body, Controller, Get, Header, HttpCode, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { HandoverRequest, parseQuery, QUERIES } from '#libs/contracts';
import { ClusterService } from './cluster.service.js';
import { jsonBody } from './json-body.js';

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
    const { to } = jsonBody(request, body, HandoverRequest.strict());
    return this.cluster.handover(to);
  }
}
