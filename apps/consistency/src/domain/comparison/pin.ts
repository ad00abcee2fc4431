/** The version at which a round compares, and whose history it is of: equal (version, chain) means equal history. */
export interface Pin {
  version: number;
  chain: string;
}

export interface KeyName {
  namespace: string;
  key: string;
}

/** No namespace has U+0000 in it. */
export function nameOf({ namespace, key }: KeyName): string {
  return `${namespace}\0${key}`;
}
