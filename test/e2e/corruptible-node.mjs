/*
 * A config node as it is built, in a process that damages what it holds when its parent says so: faults of the program
 * and of the memory, which no door of a node can cause. Started by tests alone.
 */
import { configNodeApp } from '../../dist/apps/config-node/src/config-node.app.js';
import { loadNodeSettings } from '../../dist/apps/config-node/src/config-node.config.js';
import { ReplicaHost } from '../../dist/apps/config-node/src/replica/replica-host.js';
import { checksumOf } from '../../dist/libs/replica/src/index.js';
import { runService } from '../../dist/libs/service/src/index.js';

const options = await configNodeApp(loadNodeSettings());
const host = options.module.providers.find(({ provide }) => provide === ReplicaHost).useValue;
const { replica } = host;
const space = Reflect.get(replica, 'space');

/** As if a change had been applied wrongly: the digest follows. */
function misapply({ namespace, key, value }) {
  const right = replica.get(namespace, key);
  const bytes = value === null ? undefined : Buffer.from(value);
  const entry = bytes && {
    ...{ namespace, key, value: bytes, contentType: 'text/plain', checksum: checksumOf(bytes) },
    ...{ version: right?.version ?? replica.version, updatedAt: '2026-01-01T00:00:00.000Z' },
  };
  space.repair(namespace, key, entry);
  Reflect.get(replica, 'forgetDigests').call(replica);
}

/** A bit of a value: nobody notices but who hashes the bytes. */
function flip({ namespace, key }) {
  const { value } = replica.get(namespace, key);
  value.writeUInt8(value.readUInt8(0) ^ 1, 0);
}

/** An entry that is gone although no change removed it, and the digest still counts it. */
function lose({ namespace, key }) {
  const { slots } = Reflect.get(space, 'namespaces').get(namespace);
  slots.get(key).current = undefined;
}

/** An entry that no change put there, and that the digest does not count. */
function invent({ namespace, key }) {
  const value = Buffer.from('invented');
  const slot = Reflect.get(space, 'slot').call(
    space,
    Reflect.get(space, 'namespace').call(space, namespace),
    namespace,
    key,
  );
  slot.current = {
    ...{ namespace, key, value, contentType: 'text/plain', checksum: checksumOf(value) },
    ...{ version: replica.version, updatedAt: '2026-01-01T00:00:00.000Z' },
  };
}

const COMMANDS = { misapply, flip, lose, invent };
process.on('message', ({ id, command, ...rest }) => {
  COMMANDS[command](rest);
  process.send({ id, version: replica.version });
});

await runService(options);
