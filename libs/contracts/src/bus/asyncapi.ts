import { z } from 'zod';
import { EVENT_FAMILIES, EVENTS, REQUESTS } from './subjects.js';

type AsyncApiObject = Record<string, unknown>;

const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): z.core.JSONSchema.BaseSchema =>
  z.toJSONSchema(schema, { io, unrepresentable: 'any' });

/** What travels on the bus, as an AsyncAPI 3.0 document made from the same schemas that check the messages. */
export function asyncApiDocument(version: string): AsyncApiObject {
  const channels: AsyncApiObject = {};
  const operations: AsyncApiObject = {};
  const add = (address: string, parameters: AsyncApiObject | undefined, messages: AsyncApiObject) => {
    channels[address] = { address, ...(parameters ? { parameters } : {}), messages };
  };
  const reference = (channel: string, message?: string) => ({
    $ref: `#/channels/${channel.replaceAll('/', '~1')}${message ? `/messages/${message}` : ''}`,
  });

  for (const [subject, fact] of Object.entries(EVENTS)) {
    add(subject, undefined, { fact: message(fact.meaning, fact.schema, 'output') });
    operations[`publish.${subject}`] = { action: 'send', channel: reference(subject), summary: fact.meaning };
  }
  for (const [family, fact] of Object.entries(EVENT_FAMILIES)) {
    const address = `${family}.{token}`;
    const token = family === 'config.changed' ? "a namespace, its '.' written '='" : 'a severity';
    add(address, { token: { description: token } }, { fact: message(fact.meaning, fact.schema, 'output') });
    operations[`publish.${family}`] = { action: 'send', channel: reference(address), summary: fact.meaning };
  }
  for (const [subject, question] of Object.entries(REQUESTS)) {
    const address = subject === 'election.poll' ? 'election.poll.{nodeId}' : subject;
    add(address, address === subject ? undefined : { nodeId: { description: 'the node that is asked' } }, {
      request: message(question.meaning, question.request, 'input'),
      reply: message('The answer.', question.reply, 'output'),
    });
    operations[`ask.${subject}`] = {
      action: 'receive',
      channel: reference(address),
      summary: question.meaning,
      messages: [reference(address, 'request')],
      reply: { channel: reference(address), messages: [reference(address, 'reply')] },
    };
  }
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Holdfast on the bus',
      version,
      description:
        'Payloads are plain JSON. CloudEvents attributes travel in NATS headers. Receivers ignore fields that they do not know. ' +
        'A question that fails is answered with Nats-Service-Error-Code, Nats-Service-Error and an application/problem+json body.',
    },
    defaultContentType: 'application/json',
    channels,
    operations,
  };
}

function message(summary: string, schema: z.ZodType, io: 'input' | 'output'): AsyncApiObject {
  return { summary, contentType: 'application/json', payload: schemaOf(schema, io) };
}
