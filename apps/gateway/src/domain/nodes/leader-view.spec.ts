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
        for (const one of all) view.merge(one, 0);
        const term = Math.max(...all.map((one) => one.term));
        expect(view.target).toEqual({ term, address: `http://n${term % 3}` });
        expect(view.leader.id).toBe(`n${term % 3}`);
      }),
    );
  });

  it('is unknown when only a higher term was heard of, until somebody names its leader', () => {
    const view = new LeaderView();
    view.merge({ term: 1, id: 'n1', address: 'http://n1' }, 0);
    expect(view.merge({ term: 2 }, 0)).toBe('term');
    expect(view.target).toBeNull();
    expect(view.merge({ term: 2, id: 'n2' }, 0)).toBe('leader');
    expect(view.target).toBeNull();
    expect(view.merge({ term: 2, id: 'n2', address: 'http://n2' }, 0)).toBe('leader');
    expect(view.merge({ term: 2, id: 'n2', address: 'http://n2' }, 0)).toBe('none');
    expect(view.target).toEqual({ term: 2, address: 'http://n2' });
  });

  it('is nobody after it said that it lost, until a higher term or until it is heard leading again', () => {
    const view = new LeaderView();
    view.merge({ term: 3, id: 'n1', address: 'http://n1' }, 0);
    view.lost(3);
    expect(view.target).toBeNull();
    view.leads(3);
    expect(view.target?.address).toBe('http://n1');
    view.lost(3);
    view.merge({ term: 4, id: 'n1', address: 'http://n1' }, 0);
    expect(view.target?.term).toBe(4);
  });

  it('finding 2: is not hidden by a loss of a term that nobody knows', () => {
    const view = new LeaderView();
    view.merge({ term: 3, id: 'n1', address: 'http://n1' }, 0);
    view.lost(5);
    view.lost(Number.MAX_SAFE_INTEGER);
    expect(view.target?.term).toBe(3);
    view.lost(4);
    expect(view.target).toBeNull();
    view.merge({ term: 4, id: 'n2', address: 'http://n2' }, 0);
    view.leads(4);
    expect(view.target?.term).toBe(4);
    view.merge({ term: 5, id: 'n1', address: 'http://n1' }, 0);
    expect(view.target?.term).toBe(5);
  });

  it('is corrected within its term by the election itself, and by nothing else', () => {
    const view = new LeaderView();
    view.merge({ term: 2, id: 'node-1', address: 'http://n1' }, 0);
    expect(view.merge({ term: 2, id: 'node-2', address: 'http://n2' }, 0)).toBe('none');
    expect(view.merge({ term: 2, id: 'node-2', address: 'http://n2', elected: true }, 0)).toBe('leader');
    expect(view.target).toEqual({ term: 2, address: 'http://n2' });
    expect(view.merge({ term: 2, id: 'node-1', address: 'http://n1' }, 0)).toBe('none');
  });

  describe('when the database has lost an election', () => {
    const stuck = () => {
      const view = new LeaderView();
      view.merge({ term: 8, id: 'n1', address: 'http://n1' }, 1_000);
      view.merge({ term: 9, id: 'n2', address: 'http://n2' }, 5_000);
      return view;
    };

    it.each([
      ['of a lower term', 8, 'n1'],
      ['of the same term', 9, 'n3'],
    ])('is one %s that the database confirmed after the other was heard of', (_, term, id) => {
      const view = stuck();
      expect(view.merge({ term, id, address: `http://${id}` }, 6_000)).toBe('none');
      expect(view.confirmed({ term, id, address: `http://${id}` }, 5_001)).toBe(true);
      expect(view.target).toEqual({ term, address: `http://${id}` });
      expect(view.leader.id).toBe(id);
    });

    it('is the one of the higher term as long as the confirmation may be older than its election', () => {
      const view = stuck();
      expect(view.confirmed({ term: 8, id: 'n1', address: 'http://n1' }, 5_000)).toBe(false);
      expect(view.target).toEqual({ term: 9, address: 'http://n2' });
    });

    it('is heard of again when the same term is claimed once more', () => {
      const view = stuck();
      view.confirmed({ term: 8, id: 'n1', address: 'http://n1' }, 5_500);
      expect(view.merge({ term: 9, id: 'n3', address: 'http://n3' }, 7_000)).toBe('term');
      expect(view.target).toEqual({ term: 9, address: 'http://n3' });
    });

    it('can be known again although the lost one had said that it lost', () => {
      const view = stuck();
      view.lost(9);
      view.confirmed({ term: 8, id: 'n1', address: 'http://n1' }, 5_500);
      expect(view.target).toEqual({ term: 8, address: 'http://n1' });
    });

    it('is nobody new for a confirmation of who is known already', () => {
      const view = stuck();
      expect(view.confirmed({ term: 9, id: 'n2', address: 'http://n2' }, 6_000)).toBe(false);
    });
  });
});
