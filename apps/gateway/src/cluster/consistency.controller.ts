import { Body, Controller, Get, Header, HttpCode, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { ConsistencyCheckRequest, parseQuery, QUERIES } from '#libs/contracts';
import { ConsistencyClient } from './consistency-client.js';
import { jsonBody } from './json-body.js';

@Controller('v1/consistency')
export class ConsistencyApiController {
  constructor(private readonly questions: ConsistencyClient) {}

  @Get()
  @Header('cache-control', 'no-store')
  report(@Req() request: FastifyRequest) {
    parseQuery(QUERIES.none, request.url);
    return this.questions.report();
  }

  @Post('check')
  @HttpCode(200)
  check(@Body() body: unknown, @Req() request: FastifyRequest) {
    parseQuery(QUERIES.none, request.url);
    const { repair } = jsonBody(request, body, ConsistencyCheckRequest);
    return this.questions.check(repair);
  }
}
