import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaderView } from './leader-view.js';

describe('who leads', () => {
  it('is nobody at first', () => {
    expect(new LeaderView().target).toBeNull();
  });

  it('is of the highest term, in whatever order the news comes', () => {
    const news = fc.array(
      fc
        .integer({ min: 1, max: 9 })
        .map((term) => ({ term, id: `n${term % 3}`, address: `http://n${term % 3}` })),
      { minLength: 1 },
    );
    fc.assert(
      fc.property(news, (all) => {
        const view = new LeaderView();
        for (const one of all) view.learn(one);
        const term = Math.max(...all.map((one) => one.term));
        expect(view.target).toEqual({ term, address: `http://n${term % 3}` });
        expect(view.leader.id).toBe(`n${term % 3}`);
      }),
    );
  });

  it('is unknown when only a higher term was heard of, until somebody names its leader', () => {
    const view = new LeaderView();
    view.learn({ term: 1, id: 'n1', address: 'http://n1' });
    expect(view.learn({ term: 2 })).toBe('term');
    expect(view.target).toBeNull();
    expect(view.learn({ term: 2, id: 'n2' })).toBe('leader');
    expect(view.target).toBeNull();
    expect(view.learn({ term: 2, id: 'n2', address: 'http://n2' })).toBe('leader');
    expect(view.learn({ term: 2, id: 'n2', address: 'http://n2' })).toBe('none');
    expect(view.target).toEqual({ term: 2, address: 'http://n2' });
  });

  it('is nobody after it said that it lost, until a higher term or until it is heard leading again', () => {
    const view = new LeaderView();
    view.learn({ term: 3, id: 'n1', address: 'http://n1' });
    view.lost(3);
    expect(view.target).toBeNull();
    view.leads(3);
    expect(view.target?.address).toBe('http://n1');
    view.lost(3);
    view.learn({ term: 4, id: 'n1', address: 'http://n1' });
    expect(view.target?.term).toBe(4);
  });

  it('is corrected within its term by the election itself, and by nothing else', () => {
    const view = new LeaderView();
    view.learn({ term: 2, id: 'node-1', address: 'http://n1' });
    expect(view.learn({ term: 2, id: 'node-2', address: 'http://n2' })).toBe('none');
    expect(view.learn({ term: 2, id: 'node-2', address: 'http://n2', elected: true })).toBe('leader');
    expect(view.target).toEqual({ term: 2, address: 'http://n2' });
    expect(view.learn({ term: 2, id: 'node-1', address: 'http://n1' })).toBe('none');
  });
});
