import { describe, expect, it } from 'vitest';
import {
  classify,
  DataError,
  isDataError,
  isDurabilityWarning,
  OutcomeUnknown,
  StatementRefused,
  unavailable,
} from './errors.js';

function serverError(code: string, severity = 'ERROR'): Error {
  return Object.assign(new Error('of the server'), { code, severity });
}

describe('classify', () => {
  it.each(['22021', '23505', '22P02'])('calls %s a data error', (code) => {
    const error = classify(serverError(code));
    expect(error).toBeInstanceOf(DataError);
    expect(isDataError(error)).toBe(true);
    expect(error).toMatchObject({ sqlState: code });
  });

  it.each(['08006', '57P01', '57P02', '57014', '40003'])('does not know the outcome after %s', (code) => {
    expect(classify(serverError(code))).toBeInstanceOf(OutcomeUnknown);
  });

  it('does not know the outcome after anything that ended the connection', () => {
    expect(classify(serverError('25P04', 'FATAL'))).toBeInstanceOf(OutcomeUnknown);
    expect(classify(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))).toBeInstanceOf(
      OutcomeUnknown,
    );
    // EPIPE has five characters too, but no severity.
    expect(classify(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))).toBeInstanceOf(
      OutcomeUnknown,
    );
    expect(classify(new Error('Query read timeout'))).toBeInstanceOf(OutcomeUnknown);
  });

  it.each(['55P03', '25006', '42P01', '53100', '40001'])('knows that %s had no effect', (code) => {
    const error = classify(serverError(code));
    expect(error).toBeInstanceOf(StatementRefused);
    expect(isDataError(error)).toBe(false);
  });

  it('needs no English: an error is known by its code', () => {
    expect(classify(serverError('23505', 'FEHLER'))).toBeInstanceOf(DataError);
    expect(classify(serverError('55P03', 'ERREUR'))).toBeInstanceOf(StatementRefused);
    for (const code of ['25P04', '57P01', '53200', 'XX000']) {
      expect(classify(serverError(code, 'SCHWERWIEGEND'))).toBeInstanceOf(OutcomeUnknown);
    }
  });

  it('keeps the cause', () => {
    const cause = serverError('23505');
    expect(classify(cause).cause).toBe(cause);
  });
});

describe('isDurabilityWarning', () => {
  it('sees 01000, in whatever language it is said', () => {
    expect(isDurabilityWarning({ code: '01000' })).toBe(true);
    expect(isDurabilityWarning({ code: '00000' })).toBe(false);
  });
});

describe('unavailable', () => {
  it('names every host that refused', () => {
    const refused = Object.assign(
      new AggregateError([new Error('a is away'), new Error('b is away')], ''),
      {},
    );
    expect(unavailable('no primary', refused).message).toBe('no primary: a is away; b is away');
  });
});
