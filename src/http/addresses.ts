import { BlockList, isIP, isIPv4 } from 'node:net';

/** Who may be spoken to: anybody (`public`), our own network only where it is allowed (`private`), nobody (`never`). */
export type AddressClass = 'public' | 'private' | 'never';

/** Instance metadata services of the clouds: who reaches one holds the machine's own credentials. */
const METADATA_ADDRESSES = [
  '169.254.169.254', // AWS, Azure, Google, DigitalOcean, Oracle and others
  '169.254.169.253', // AWS' resolver
  '169.254.170.2', // AWS container credentials
  '169.254.170.23', // AWS pod identity
  '168.63.129.16', // Azure's host agent
  '100.100.100.200', // Alibaba
  '192.0.0.192', // Oracle
  'fd00:ec2::254',
  'fd00:ec2::253',
  'fd00:ec2::23',
  'fd20:ce::254', // Google
];

const METADATA_NAMES = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'metadata.azure.internal',
  'instance-data',
  'instance-data.ec2.internal',
]);

/** IANA's special-purpose registry: everything that is not an address of the public network. */
const PRIVATE_IPV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];

/** What is not public inside 2000::/3, the only part of IPv6 that is handed out as public. */
const PRIVATE_IPV6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['3fff::', 20],
];

const metadata = new BlockList();
for (const address of METADATA_ADDRESSES) metadata.addAddress(address, isIPv4(address) ? 'ipv4' : 'ipv6');
const privateAddresses = new BlockList();
for (const [network, prefix] of PRIVATE_IPV4) privateAddresses.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of PRIVATE_IPV6) privateAddresses.addSubnet(network, prefix, 'ipv6');

/**
 * The class of a literal IPv4 or IPv6 address. An IPv6 address that carries an IPv4 one (mapped, compatible, 6to4,
 * NAT64, ISATAP) is at least as forbidden as that one. What is no address at all is `never`.
 */
export function classifyAddress(address: string): AddressClass {
  const [literal = ''] = address.split('%');
  if (isIPv4(literal)) return classifyIPv4(literal);
  return isIP(literal) === 6 ? classifyIPv6(literal) : 'never';
}

/** True for the names under which the clouds offer their metadata, however they resolve. */
export function isMetadataName(hostname: string): boolean {
  return METADATA_NAMES.has(hostname.toLowerCase().replace(/\.+$/, ''));
}

function classifyIPv4(address: string): AddressClass {
  if (metadata.check(address, 'ipv4')) return 'never';
  return privateAddresses.check(address, 'ipv4') ? 'private' : 'public';
}

function classifyIPv6(address: string): AddressClass {
  if (metadata.check(address, 'ipv6')) return 'never';
  const groups = groupsOf(address);
  const [embedded, mayBePublic] = embeddedIPv4(groups);
  const inner = embedded === undefined ? 'public' : classifyIPv4(embedded);
  if (inner !== 'public') return inner;
  if (mayBePublic) return 'public';
  const isGlobalUnicast = ((groups[0] ?? 0) & 0xe000) === 0x2000;
  return isGlobalUnicast && !privateAddresses.check(address, 'ipv6') ? 'public' : 'private';
}

/** The IPv4 address inside an IPv6 one, and whether the form as such leads to the public network. */
function embeddedIPv4(groups: readonly number[]): readonly [string | undefined, boolean] {
  const at = (index: number): string => {
    const [high = 0, low = 0] = groups.slice(index, index + 2);
    return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
  };
  const startsWith = (...prefix: number[]): boolean => prefix.every((group, i) => groups[i] === group);
  if (startsWith(0, 0, 0, 0, 0, 0xffff)) return [at(6), true];
  if (startsWith(0, 0, 0, 0, 0xffff, 0)) return [at(6), false];
  if (startsWith(0x64, 0xff9b, 0, 0, 0, 0)) return [at(6), true];
  if (startsWith(0x64, 0xff9b, 1)) return [at(6), false];
  if (startsWith(0x2002)) return [at(1), true];
  if (startsWith(0, 0, 0, 0, 0, 0)) return [at(6), false];
  const isIsatap = ((groups[4] ?? 0) & 0xfdff) === 0 && groups[5] === 0x5efe;
  return isIsatap ? [at(6), false] : [undefined, false];
}

/** The eight 16-bit groups of a valid IPv6 address; the URL parser brings every notation into hexadecimal form. */
function groupsOf(address: string): number[] {
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::');
  const numbers = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((g) => parseInt(g, 16));
  const first = numbers(head);
  const last = tail === undefined ? [] : numbers(tail);
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
}
