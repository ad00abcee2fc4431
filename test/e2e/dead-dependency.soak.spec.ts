import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiClient, Cluster, pause, until, Workload } from '#libs/testing';
import { without } from './faults.js';
import { gatewayCounter } from './metrics.js';
import { FailureWatch } from './stalls.js';

const REQUESTS = 'holdfast_gateway_upstream_requests_total';

/** All nodes stand behind one dependency that has died: none of them is to blame, and restarting any would help nobody. */
describe('the whole fleet behind one dead dependency', () => {
  let cluster: Cluster;
  let api: ApiClient;
  beforeAll(async () => {
    cluster = await Cluster.start({ env: { HOLDFAST_FLAP_SUPPRESS: '2000' } });
    api = new ApiClient(cluster.gateway, 64);
    await cluster.whole();
    await api.put('dead', 'key', 'value');
  });
  afterAll(async () => {
    await api?.close();
    await cluster?.dispose();
  });

  it.each(['postgres', 'nats'])(
    '%s: nobody is restarted, failed or ejected, and reads go on',
    async (name) => {
      const watch = new FailureWatch(cluster).start();
      const workload = await Workload.start({
        name: `without-${name}`,
        seed: 51,
        gateway: cluster.gateway,
        nodes: await cluster.addresses(),
      });
      await without(cluster, name, () => pause(15_000));
      await cluster.whole();
      expect(await watch.stop()).toEqual([]);
      const reads = workload.failures.filter(({ via, what }) => via === 'gateway' && what === 'read');
      await workload.close();
      expect(reads).toEqual([]);
      const asked = async () => {
        const { status, body } = await api.request('GET', '/v1/cluster/recoveries');
        return status === 200 && (JSON.parse(body.toString()) as { recoveries: unknown[] }).recoveries;
      };
      const recoveries = await until('the recoveries can be asked for', asked, 10_000);
      expect(recoveries).toEqual([]);
    },
  );

  it('what asks for the dead database does not multiply on its way', async () => {
    const count = async () => {
      const byNode = await gatewayCounter(cluster, REQUESTS, 'node');
      return [...byNode.values()].reduce((sum, one) => sum + one, 0);
    };
    await without(cluster, 'postgres', async () => {
      await pause(2_000);
      const before = await count();
      const answers: number[] = [];
      const ask = async () => {
        for (let i = 0; i < 100; i++) {
          answers.push((await api.request('GET', '/v1/namespaces/dead/history/key')).status);
        }
      };
      await Promise.all(Array.from({ length: 10 }, ask));
      const asked = (await count()) - before;
      expect(new Set(answers)).toEqual(new Set([503]));
      expect(asked).toBeGreaterThanOrEqual(answers.length);
      expect(asked / answers.length).toBeLessThanOrEqual(1.2);
    });
    await cluster.whole();
  });
});
