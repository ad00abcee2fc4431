import {
  isReservedNamespace,
  isSystemKey,
  keyFault,
  namespaceFault,
  Problem,
  SYSTEM_NAMESPACE,
} from '#libs/contracts';
import type { KeyAddress } from '../../domain/log.types.js';
import { decodeWireText } from './wire-text.js';

const PREFIX = '/v1/namespaces/';

/**
 * The namespace and what follows it in a request target `/v1/namespaces/{ns}/{collection}/{key}`. Read from the raw
 * target, not from the router's parameters: the key is everything behind the collection, decoded exactly once, so
 * that `%2F` means the same as `/` and `%252F` a percent sign.
 */
export function namespaceOf(target: string): string {
  const [namespacePart = ''] = pathOf(target).slice(PREFIX.length).split('/', 1);
  const namespace = decode(namespacePart);
  const fault = namespaceFault(namespace);
  if (fault !== undefined) throw new Problem('invalid-key', fault);
  return namespace;
}

/** @param named the `key` of the query, used where the path has none */
export function keyAddress(target: string, named: string | undefined): KeyAddress {
  const namespace = namespaceOf(target);
  const inPath = keyInPath(target);
  if (inPath !== undefined && named !== undefined) {
    throw new Problem('invalid-request', "the key is in the path: 'key' in the query is one too many");
  }
  const key = inPath ?? named;
  if (key === undefined) throw new Problem('invalid-request', 'a key is missing, in the path or as ?key=');
  const fault = keyFault(key);
  if (fault !== undefined) throw new Problem('invalid-key', fault, { namespace, key: key.slice(0, 600) });
  return { namespace, key };
}

/**
 * Throws 403 for namespaces that belong to Holdfast itself: they are read like any other. What is known there is
 * written by operators, that is by whoever gives the cluster's secret.
 */
export function demandWritable({ namespace, key }: KeyAddress, operator: boolean): void {
  if (!isReservedNamespace(namespace)) return;
  if (!operator) {
    throw new Problem('forbidden', `the namespace '${namespace}' is reserved for operators`, { namespace });
  }
  if (namespace === SYSTEM_NAMESPACE && isSystemKey(key)) return;
  throw new Problem('forbidden', `Holdfast has no key '${key.slice(0, 600)}' in '${namespace}'`, {
    namespace,
  });
}

function keyInPath(target: string): string | undefined {
  const path = pathOf(target);
  const collection = path.indexOf('/', PREFIX.length) + 1;
  const start = path.indexOf('/', collection);
  return collection === 0 || start < 0 ? undefined : decode(path.slice(start + 1));
}

function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}

function decode(text: string): string {
  try {
    return decodeWireText(text);
  } catch (cause) {
    throw new Problem('invalid-request', 'the path is not valid percent-encoded UTF-8', {}, { cause });
  }
}
