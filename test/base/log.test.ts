import { describe, expect, test } from '@jest/globals';

import { HandlerError } from '../../src/base/errors.ts';
import { createLog, SILENT_LOG, type LogOptions } from '../../src/base/log.ts';

function logTo(options: LogOptions = {}) {
  const lines: string[] = [];
  const log = createLog({ ...options, write: (line) => lines.push(line) });
  return { log, lines, entries: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('createLog', () => {
  test('writes one JSON line an entry, with the fields of its parents', () => {
    const { log, lines, entries } = logTo();
    log.child({ job: 'j1' }).child({ step: 2 }).info('Batch done', { count: 3 });
    expect(lines).toHaveLength(1);
    expect(lines[0]?.endsWith('\n')).toBe(true);
    expect(entries()[0]).toMatchObject({
      level: 'info',
      message: 'Batch done',
      job: 'j1',
      step: 2,
      count: 3,
    });
  });

  test('leaves out what is below its level', () => {
    const { log, entries } = logTo({ level: 'warn' });
    log.debug('a');
    log.info('b');
    log.warn('c');
    log.error('d');
    expect(entries().map((entry) => entry.message)).toEqual(['c', 'd']);
  });

  test.each(['json', 'text'] as const)('holds no secret in messages, fields or children (%s)', (format) => {
    const { log, lines } = logTo({ format });
    const child = log.child({
      supabase_service_key: 'plain-secret',
      nested: { qdrant_api_key: 'plain-secret' },
    });
    child.info('GET https://user:plain-secret@host/a?token=plain-secret', {
      url: 'https://host/a.png?token=plain-secret',
      list: [{ headers: { Authorization: 'Bearer plain-secret' } }],
      error: new HandlerError('qdrant_unauthorized', 'Bearer plain-secret', {
        cause: new Error('sb_secret_plain-secret'),
      }),
      err: new Error('apikey=plain-secret'),
    });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('[redacted]');
    expect(lines[0]).not.toContain('plain-secret');
  });

  test('shows the code and message of an error', () => {
    const { log, entries } = logTo();
    log.error('Failed', {
      error: new HandlerError('timeout', 'no answer'),
      err: new HandlerError('http_404', 'gone'),
    });
    expect(entries()[0]).toMatchObject({
      error: { name: 'HandlerError', code: 'timeout', message: 'no answer' },
      err: { code: 'http_404', message: 'gone' },
    });
  });

  test.each(['json', 'text'] as const)("a field cannot pass for the line's own keys (%s)", (format) => {
    const { log, lines } = logTo({ format });
    log.child({ level: 'none' }).info('real', { message: 'false', time: 'never' });
    expect(lines).toHaveLength(1);
    if (format === 'text') expect(lines[0]).toMatch(/^[\d:.]{12} INFO +real /);
    else {
      expect(JSON.parse(lines[0] ?? '')).toMatchObject({
        level: 'info',
        message: 'real',
        message_: 'false',
        level_: 'none',
      });
    }
  });

  test('a text line is one line, whatever a field holds', () => {
    const { log, lines } = logTo({ format: 'text' });
    log.info('Read', { path: 'a/b.png', name: 'two words\n12:00:00 ERROR forged', stop: '\u001b[2J' });
    expect(lines[0]?.split('\n')).toHaveLength(2);
    expect(lines[0]).toContain('path=a/b.png name="two words\\n');
    expect(lines[0]).not.toContain('\u001b');
  });

  test('a field that cannot be read costs no line, and no other field', () => {
    const { log, entries } = logTo();
    const broken = {
      get value(): number {
        throw new Error('no');
      },
    };
    const error = Object.assign(new Error('odd'), { message: { code: 7 }, name: Symbol('x'), stack: [1] });
    log.error('Failed', { broken, when: new Date(NaN), error, kept: 1 });
    expect(entries()[0]).toMatchObject({
      message: 'Failed',
      broken: '[unreadable]',
      error: { name: '[symbol]', message: { code: 7 }, stack: [1] },
      kept: 1,
    });
  });

  test('cuts long values and lists', () => {
    const { log, entries } = logTo();
    log.info('x'.repeat(10_000), {
      text: 'y'.repeat(10_000),
      ids: Array.from({ length: 10_000 }, (_, i) => i),
      a: { b: ['z'.repeat(9_000)] },
    });
    const entry = entries()[0] ?? {};
    expect(JSON.stringify(entry).length).toBeLessThan(15_000);
    expect(entry.text).toContain('(10000 characters)');
    expect((entry.ids as unknown[]).at(-1)).toBe('... (10000 items)');
  });

  test('the silent log takes everything', () => {
    SILENT_LOG.child({ a: 1 }).error('x', { error: new Error('y') });
    expect(SILENT_LOG.child({})).toBe(SILENT_LOG);
  });
});
