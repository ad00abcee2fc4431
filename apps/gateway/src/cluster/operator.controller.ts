import { Body, Controller, Get, Header, HttpCode, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { OperatorRequest, parseQuery, QUERIES } from '#libs/contracts';
import { jsonBody } from './json-body.js';
import { OperatorCommands } from './operator-commands.js';

@Controller('v1')
export class OperatorController {
  constructor(private readonly operator: OperatorCommands) {}

  @Post('nodes/:id/drain')
  @HttpCode(200)
  drain(@Param('id') id: string, @Body() body: unknown, @Req() request: FastifyRequest) {
    return this.operator.drain(id, true, whyOf(request, body));
  }

  @Post('nodes/:id/undrain')
  @HttpCode(200)
  undrain(@Param('id') id: string, @Body() body: unknown, @Req() request: FastifyRequest) {
    return this.operator.drain(id, false, whyOf(request, body));
  }

  @Post('nodes/:id/restart')
  @HttpCode(200)
  restart(@Param('id') id: string, @Body() body: unknown, @Req() request: FastifyRequest) {
    return this.operator.restart(id, whyOf(request, body));
  }

  @Post('nodes/:id/release')
  @HttpCode(200)
  release(@Param('id') id: string, @Body() body: unknown, @Req() request: FastifyRequest) {
    return this.operator.release(id, whyOf(request, body));
  }

  @Get('cluster/recoveries')
  @Header('cache-control', 'no-store')
  recoveries(@Req() request: FastifyRequest) {
    const { limit } = parseQuery(QUERIES.recoveries, request.url);
    return this.operator.recoveries(limit);
  }
}

function whyOf(request: FastifyRequest, body: unknown): string | undefined {
  parseQuery(QUERIES.none, request.url);
  return jsonBody(request, body, OperatorRequest).why;
}
