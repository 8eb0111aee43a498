import { createHash } from 'node:crypto';

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createHttp } from '../../src/http/http.ts';
import { readDataUrl } from '../../src/image/data-url.ts';
import { createImageSource } from '../../src/image/source.ts';
import { rejection, startServer } from '../http/support.ts';

const HELLO = Uint8Array.from(Buffer.from('hello'));

describe('a data: url', () => {
  test.each([
    ['base64', 'data:image/png;base64,aGVsbG8='],
    ['base64 without padding', 'data:image/png;base64,aGVsbG8'],
    ['base64 with line breaks', 'data:image/png;base64,aGVs\r\nbG8='],
    ['base64 with an encoded padding', 'data:image/png;base64,aGVsbG8%3D'],
    ['parameters, capitals', 'DATA:image/png;name=a.png;charset=utf-8;BASE64,aGVsbG8='],
    ['no type', 'data:;base64,aGVsbG8='],
    ['text', 'data:text/plain,hello'],
    ['nothing but a comma before it', 'data:,hello'],
    ['percent-encoded', 'data:text/plain,%68%65llo'],
    ['a fragment', 'data:,hello#there'],
    ['blanks around it', ' data:,hello\n'],
  ])('%s', (_, url) => {
    expect(readDataUrl(url, 5)).toEqual(HELLO);
  });

  test.each([
    ['no comma', 'data:image/png;base64'],
    ['no base64', 'data:image/png;base64,????'],
    ['padding inside', 'data:;base64,aGVs=bG8'],
    ['an impossible length', 'data:;base64,aGVsb'],
    ['a broken percent sign', 'data:,100%'],
    ['characters of no byte', 'data:,h\u00e9llo'],
  ])('%s is refused', (_, url) => {
    expect(() => readDataUrl(url, 100)).toThrow(
      expect.objectContaining({ code: 'invalid_url', retryable: false }),
    );
  });

  test.each(['data:;base64,aGVsbG8h', 'data:,hello!', 'data:,%68%65%6c%6c%6f%21', 'data:;base64,aGVsbG8%68'])(
    'larger than allowed: %s',
    (url) => {
      expect(() => readDataUrl(url, 5)).toThrow(expect.objectContaining({ code: 'too_large' }));
    },
  );

  test('gives back every byte, in either form', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const percent = [...bytes].map((b) => `%${b.toString(16).padStart(2, '0')}`).join('');
        expect(
          readDataUrl(`data:image/png;base64,${Buffer.from(bytes).toString('base64')}`, bytes.length),
        ).toEqual(bytes);
        expect(readDataUrl(`data:image/png,${percent}`, bytes.length)).toEqual(bytes);
      }),
    );
  });
});

describe('an image source', () => {
  test('reads http and data: addresses and hashes what it read', async () => {
    await using server = await startServer((request, response) => {
      response.end(request.headers.accept?.startsWith('image/') === true ? 'hello' : 'what?');
    });
    await using http = createHttp({ allowPrivateHosts: true });
    const source = createImageSource({ http });
    const contentHash = createHash('sha256').update('hello').digest('hex');
    expect(await source.read(`${server.url}/a.png`)).toEqual({ bytes: HELLO, contentHash });
    expect(await source.read('data:;base64,aGVsbG8=')).toEqual({ bytes: HELLO, contentHash });
  });

  test.each([
    'ftp://host/a.png',
    'file:///etc/passwd',
    's3://bucket/key',
    'javascript:alert(1)',
    'bucket/a.png',
    '',
    '//h/a',
  ])('refuses %s', async (url) => {
    await using http = createHttp({ allowPrivateHosts: true });
    const error = await rejection(createImageSource({ http }).read(url));
    expect(error).toMatchObject({ code: 'invalid_url', retryable: false });
  });

  test('keeps its limit on both ways, and hands out what the network says', async () => {
    await using server = await startServer((request, response) => {
      response.statusCode = request.url === '/404' ? 404 : 200;
      response.end('hello');
    });
    await using http = createHttp({ allowPrivateHosts: true });
    const source = createImageSource({ http, maxBytes: 4 });
    expect(await rejection(source.read(server.url))).toMatchObject({ code: 'too_large' });
    expect(await rejection(source.read('data:,hello'))).toMatchObject({ code: 'too_large' });
    expect(await rejection(source.read(`${server.url}/404`))).toMatchObject({ code: 'http_404' });
  });

  test('stops with the reason of its signal', async () => {
    await using http = createHttp({ allowPrivateHosts: true });
    const reason = new Error('enough');
    const source = createImageSource({ http });
    expect(await rejection(source.read('data:,hello', AbortSignal.abort(reason)))).toBe(reason);
  });
});
