import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { classifyAddress } from '../../src/http/addresses.ts';
import { createHttp } from '../../src/http/http.ts';
import { rejection, startServer } from './support.ts';

const MAX = { maxBytes: 1_000 };

describe('the class of an address', () => {
  test.each([
    ...[
      '8.8.8.8',
      '1.1.1.1',
      '172.15.255.255',
      '172.32.0.0',
      '100.63.255.255',
      '100.128.0.0',
      '192.167.255.255',
    ],
    ...[
      '198.17.255.255',
      '223.255.255.255',
      '11.0.0.0',
      '2606:4700::1111',
      '2a00:1450:4001::8',
      '2400:cb00::1',
    ],
    ...['::ffff:8.8.8.8', '64:ff9b::808:808', '2002:808:808::1'],
  ])('%s is public', (address) => {
    expect(classifyAddress(address)).toBe('public');
  });

  test.each([
    ...['127.0.0.1', '127.255.255.254', '0.0.0.0', '0.1.2.3', '10.0.0.1', '172.16.0.1', '172.31.255.255'],
    ...[
      '192.168.1.1',
      '169.254.0.1',
      '100.64.0.1',
      '100.127.255.255',
      '192.0.0.1',
      '192.0.2.1',
      '192.88.99.1',
    ],
    ...[
      '198.18.0.1',
      '198.19.255.255',
      '198.51.100.1',
      '203.0.113.1',
      '224.0.0.1',
      '239.255.255.255',
      '240.0.0.1',
    ],
    ...[
      '255.255.255.255',
      '::',
      '::1',
      'fe80::1',
      'fe80::1%eth0',
      'fc00::1',
      'fd12:3456::1',
      'fec0::1',
      'ff02::1',
    ],
    ...['2001:db8::1', '3fff::1', '2001::1', '2001:10::1', '100::1', '::ffff:127.0.0.1', '::ffff:10.0.0.1'],
    ...[
      '::127.0.0.1',
      '::8.8.8.8',
      '::ffff:0:10.0.0.1',
      '64:ff9b::a00:1',
      '64:ff9b:1::808:808',
      '2002:7f00:1::',
    ],
    ...['2002:a00:1::1', '2001:470::5efe:a00:1', 'fe80::5efe:808:808', '4000::1'],
  ])('%s is private', (address) => {
    expect(classifyAddress(address)).toBe('private');
  });

  test.each([
    ...[
      '169.254.169.254',
      '169.254.170.2',
      '100.100.100.200',
      '168.63.129.16',
      '192.0.0.192',
      'fd00:ec2::254',
    ],
    ...[
      'fd20:ce::254',
      '::ffff:169.254.169.254',
      '::169.254.169.254',
      '64:ff9b::a9fe:a9fe',
      '2002:a9fe:a9fe::1',
    ],
    ...['FD00:EC2:0:0:0:0:0:254', '::ffff:6464:64c8', 'localhost', '', '1.2.3', '1.2.3.4.5', ':::', 'x::1'],
  ])('%s is never spoken to', (address) => {
    expect(classifyAddress(address)).toBe('never');
  });

  test('an IPv6 address is never less forbidden than the IPv4 address it carries', () => {
    const rank = { public: 0, private: 1, never: 2 };
    fc.assert(
      fc.property(fc.ipV4(), fc.nat(65_535), (v4, last) => {
        const [a = 0, b = 0, c = 0, d = 0] = v4.split('.').map(Number);
        const hex = `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
        const carriers = [`::ffff:${v4}`, `::${hex}`, `64:ff9b::${hex}`, `2002:${hex}::${last.toString(16)}`];
        for (const v6 of carriers)
          expect(rank[classifyAddress(v6)]).toBeGreaterThanOrEqual(rank[classifyAddress(v4)]);
      }),
    );
  });
});

describe('the guard', () => {
  test.each([
    ...[
      '127.0.0.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '127.1',
      '0x7f.1',
      '127.0.0.1.',
      '0',
      '０x7f.1',
    ],
    ...[
      '[::1]',
      '[::ffff:127.0.0.1]',
      '[0:0:0:0:0:ffff:7f00:1]',
      '[64:ff9b::7f00:1]',
      'localhost',
      'LOCALHOST',
    ],
  ])('refuses http://%s/ unless private hosts are allowed', async (host) => {
    await using http = createHttp({ attempts: 1 });
    const error = await rejection(http.get(`http://${host}:9/`, MAX));
    expect(error).toMatchObject({ code: 'blocked_address', retryable: false });
  });

  test.each([
    '169.254.169.254',
    '0xa9fea9fe',
    '[fd00:ec2::254]',
    '100.100.100.200',
    'metadata.google.internal',
    'METADATA.',
  ])('refuses the metadata service http://%s/ even then', async (host) => {
    await using http = createHttp({ attempts: 1, allowPrivateHosts: true });
    expect(await rejection(http.get(`http://${host}/latest`, MAX))).toMatchObject({
      code: 'blocked_address',
    });
  });

  test('one private address among public ones condemns the name', async () => {
    const resolveName = () =>
      Promise.resolve([
        { address: '8.8.8.8', family: 4 },
        { address: '10.0.0.1', family: 4 },
      ]);
    await using http = createHttp({ attempts: 1, resolveName });
    expect(await rejection(http.get('http://mixed.example/', MAX))).toMatchObject({
      code: 'blocked_address',
    });
  });

  test('a name that resolves to a metadata service is refused, private hosts allowed or not', async () => {
    const resolveName = () => Promise.resolve([{ address: '::ffff:169.254.169.254', family: 6 }]);
    await using http = createHttp({ attempts: 1, allowPrivateHosts: true, resolveName });
    expect(await rejection(http.get('http://innocent.example/', MAX))).toMatchObject({
      code: 'blocked_address',
    });
  });

  test('the connection goes to the address that was checked: the name is asked once', async () => {
    await using server = await startServer((request, response) => response.end(request.headers.host));
    let asked = 0;
    // Who asks a second time is led to the metadata service.
    const resolveName = () => {
      asked += 1;
      return Promise.resolve([{ address: asked === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]);
    };
    await using http = createHttp({ allowPrivateHosts: true, resolveName });
    const address = `http://shop.example:${String(server.port)}/`;
    const { body } = await http.get(address, MAX);
    expect(Buffer.from(body).toString()).toBe(`shop.example:${String(server.port)}`);
    await http.get(address, MAX);
    expect(asked).toBe(1);
  });

  test('a name without addresses is a failure of the network', async () => {
    await using http = createHttp({ attempts: 1, resolveName: () => Promise.resolve([]) });
    expect(await rejection(http.get('http://empty.example/', MAX))).toMatchObject({ code: 'network' });
  });
});
