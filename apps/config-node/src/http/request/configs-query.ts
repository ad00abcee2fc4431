import { LIMITS, Problem, parseQuery, QUERIES } from '#libs/contracts';

type ConfigsQuery = ReturnType<typeof parseConfigs>;

export type ConfigsListQuery = Omit<ConfigsQuery, 'key' | 'version' | 'limit' | 'values'> & {
  asks: 'list';
  limit: number;
  values: boolean;
};

export type ValueQuery = Pick<ConfigsQuery, 'minVersion' | 'timeout' | 'consistency' | 'version'> & {
  asks: 'value';
  key: string;
};

const OF_LISTINGS = ['prefix', 'limit', 'cursor', 'values'] as const;

/**
 * The query of `GET …/configs`, which asks for one value if it has a `key`, else for a listing. What belongs to the
 * other of the two would be ignored, and the answer be another than was asked for: it is refused.
 */
export function configsQuery(target: string): ConfigsListQuery | ValueQuery {
  const { key, version, prefix, limit, cursor, values, ...reach } = parseConfigs(target);
  if (key === undefined) {
    if (version !== undefined) {
      throw new Problem('invalid-request', "'version' belongs to one value, which 'key' has to name");
    }
    const page = { limit: limit ?? LIMITS.listItemsDefault, values: values ?? true };
    return { asks: 'list', ...reach, prefix, cursor, ...page };
  }
  const given = { prefix, limit, cursor, values };
  const tooMany = OF_LISTINGS.find((name) => given[name] !== undefined);
  if (tooMany !== undefined) {
    throw new Problem('invalid-request', `'key' asks for one value: '${tooMany}' belongs to listings`);
  }
  return { asks: 'value', ...reach, key, version };
}

function parseConfigs(target: string) {
  return parseQuery(QUERIES.configs, target);
}
