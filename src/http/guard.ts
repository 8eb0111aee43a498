import { lookup as resolve, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';

import { HttpError } from '../base/errors.ts';
import { classifyAddress, isMetadataName } from './addresses.ts';

export interface GuardOptions {
  /** Loopback, private, link-local and reserved addresses may be spoken to. Cloud metadata never. */
  allowPrivateHosts: boolean;
  /** Every address of a name; the system's resolver by default. */
  resolveName?: ResolveName | undefined;
}

export type ResolveName = (hostname: string) => Promise<readonly LookupAddress[]>;

export interface Guard {
  /** @throws HttpError `blocked_address` for a literal address or a name that must not be spoken to. */
  checkHost(hostname: string): void;
  /**
   * For `net.connect`: resolves, checks every address, hands out the checked ones. The connection is made to these,
   * so that a name cannot answer differently a second time.
   */
  lookup: LookupFunction;
}

export function createGuard({ allowPrivateHosts, resolveName = systemResolve }: GuardOptions): Guard {
  const check = (address: string, host: string): void => {
    const found = classifyAddress(address);
    if (found === 'public' || (found === 'private' && allowPrivateHosts)) return;
    throw blocked(
      host,
      found === 'private' ? 'it lies in a private or reserved network' : 'it is never spoken to',
    );
  };

  const resolveChecked = async (hostname: string): Promise<readonly LookupAddress[]> => {
    const addresses = await resolveName(hostname);
    // One bad address condemns the name: what answers with a public and a private one is after the private one.
    for (const { address } of addresses) check(address, hostname);
    return addresses;
  };

  return {
    checkHost(hostname) {
      const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
      if (isIP(host) !== 0) check(host, host);
      else if (isMetadataName(host)) throw blocked(host, 'it is never spoken to');
    },
    lookup(hostname, options, callback) {
      resolveChecked(hostname).then(
        (addresses) => {
          const wanted = addresses.filter(
            ({ family }) => !options.family || familyOf(options.family) === family,
          );
          const [first] = wanted;
          if (first === undefined) callback(notFound(hostname), '');
          else if (options.all === true) callback(null, [...wanted]);
          else callback(null, first.address, first.family);
        },
        (error: unknown) => {
          callback(error as NodeJS.ErrnoException, '');
        },
      );
    },
  };
}

function blocked(host: string, why: string): HttpError {
  return new HttpError('blocked_address', `the address of ${host} is not allowed: ${why}`);
}

function notFound(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`no address found for ${hostname}`), { code: 'ENOTFOUND' });
}

function familyOf(family: number | 'IPv4' | 'IPv6'): number {
  if (family === 'IPv4') return 4;
  return family === 'IPv6' ? 6 : family;
}

function systemResolve(hostname: string): Promise<readonly LookupAddress[]> {
  return new Promise((done, fail) => {
    resolve(hostname, { all: true }, (error, addresses) => {
      if (error === null) done(addresses);
      else fail(error);
    });
  });
}
