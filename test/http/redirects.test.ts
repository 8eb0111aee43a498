import { describe, expect, test } from '@jest/globals';

import { createHttp } from '../../src/http/http.ts';
import { rejection, startServer } from './support.ts';

const MAX = { maxBytes: 1_000 };
const LOCAL = { allowPrivateHosts: true, attempts: 1 };

/** `/5` goes to `4` (relative), ... `/0` answers. */
function countdown() {
  return startServer((request, response) => {
    const left = Number(request.url?.slice(1));
    if (left === 0) response.end('there');
    else
      response
        .writeHead([301, 302, 303, 307, 308][left % 5] ?? 302, { location: String(left - 1) })
        .end('moved');
  });
}

describe('redirects', () => {
  test('five are followed, on one connection, and the last address is told', async () => {
    await using server = await countdown();
    await using http = createHttp(LOCAL);
    const answer = await http.get(`${server.url}/5`, MAX);
    expect(answer.url).toBe(`${server.url}/0`);
    expect(Buffer.from(answer.body).toString()).toBe('there');
    expect(server.sockets).toBe(1);
  });

  test('six and a circle are too many', async () => {
    await using server = await countdown();
    await using circle = await startServer((_, response) => response.writeHead(302, { location: '/' }).end());
    await using http = createHttp(LOCAL);
    expect(await rejection(http.get(`${server.url}/6`, MAX))).toMatchObject({ code: 'too_many_redirects' });
    expect(await rejection(http.get(circle.url, MAX))).toMatchObject({
      code: 'too_many_redirects',
      retryable: false,
    });
    expect(circle.requests).toHaveLength(6);
  });

  test('every hop is checked: no other scheme, no metadata service, by address or by name', async () => {
    await using server = await startServer((request, response) => {
      response.writeHead(302, { location: decodeURIComponent(request.url?.slice(2) ?? '') }).end();
    });
    await using http = createHttp(LOCAL);
    const from = (target: string) => rejection(http.get(`${server.url}/?${encodeURIComponent(target)}`, MAX));
    expect(await from('file:///etc/passwd')).toMatchObject({ code: 'invalid_url' });
    expect(await from('data:text/plain,x')).toMatchObject({ code: 'invalid_url' });
    expect(await from('http://169.254.169.254/latest/meta-data')).toMatchObject({ code: 'blocked_address' });
    expect(await from('http://[::ffff:a9fe:a9fe]/')).toMatchObject({ code: 'blocked_address' });
    expect(await from('http://metadata.google.internal./')).toMatchObject({ code: 'blocked_address' });
  });

  test('a public host cannot lead into the private network', async () => {
    await using inside = await startServer((_, response) => response.end('secret'));
    // The first host is taken for public; the second is what its answer names.
    const resolveName = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
    await using http = createHttp({ attempts: 1, resolveName });
    const error = await rejection(http.get(`http://public.example:${String(inside.port)}/`, MAX));
    expect(error).toMatchObject({ code: 'blocked_address', retryable: false });
    expect(inside.requests).toHaveLength(0);
  });

  test('secrets of the first host are not taken to another', async () => {
    await using other = await startServer((request, response) =>
      response.end(JSON.stringify(request.headers)),
    );
    await using first = await startServer((request, response) => {
      if (request.url === '/here') response.end(JSON.stringify(request.headers));
      else response.writeHead(307, { location: request.url === '/same' ? '/here' : other.url }).end();
    });
    await using http = createHttp(LOCAL);
    const headers = { authorization: 'Bearer x', apikey: 'y', accept: 'image/*', 'X-Own': 'z' };
    const seen = async (path: string) =>
      JSON.parse(
        Buffer.from((await http.get(first.url + path, { maxBytes: 10_000, headers })).body).toString(),
      ) as object;
    expect(await seen('/same')).toMatchObject({ authorization: 'Bearer x', apikey: 'y', 'x-own': 'z' });
    const abroad = await seen('/other');
    expect(abroad).toMatchObject({ accept: 'image/*' });
    expect(Object.keys(abroad)).not.toEqual(expect.arrayContaining(['authorization']));
    expect(JSON.stringify(abroad)).not.toMatch(/Bearer|"apikey"|x-own/);
  });
});
