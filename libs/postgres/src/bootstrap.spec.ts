import { describe, expect, it } from 'vitest';
import { bootstrapSql } from './bootstrap.js';

const passwords = {
  holdfast_node: 'n',
  holdfast_registry: 'r',
  holdfast_failover: 'f',
  holdfast_health: 'h',
  holdfast_sync: 's',
  holdfast_consistency: 'c',
};

describe('bootstrapSql', () => {
  it('quotes passwords as literals', () => {
    const sql = bootstrapSql({ passwords: { ...passwords, holdfast_node: "it's \\ done" } });
    expect(sql).toContain(String.raw`password  E'it''s \\ done'`);
  });

  it('has every role told in English what went wrong, whatever the server speaks', () => {
    const sql = bootstrapSql({ passwords });
    for (const role of Object.keys(passwords)) {
      expect(sql).toContain(`alter role ${role} set lc_messages = 'C';`);
    }
  });

  it('refuses passwords that a role cannot have', () => {
    for (const holdfast_node of ['', 'a\0b']) {
      expect(() => bootstrapSql({ passwords: { ...passwords, holdfast_node } })).toThrow('needs a password');
    }
  });
});
