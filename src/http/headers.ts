/** What a host learns that the caller did not name: nothing of what may be a secret. */
const FOR_STRANGERS = new Set(['accept', 'range', 'accept-encoding', 'user-agent']);

/** The caller's headers and ours. A body is asked for as it is: a size limit on packed bytes limits nothing. */
export function requestHeaders(own: Record<string, string>, userAgent: string): Record<string, string> {
  const lowerCased = Object.fromEntries(
    Object.entries(own).map(([name, value]) => [name.toLowerCase(), value]),
  );
  return { accept: '*/*', ...lowerCased, 'accept-encoding': 'identity', 'user-agent': userAgent };
}

/** What goes along when a redirect leads to another origin. */
export function headersForStrangers(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => FOR_STRANGERS.has(name)));
}

/** User and password of an address, as browsers send them. */
export function credentials(url: URL): Record<string, string> {
  if (url.username === '' && url.password === '') return {};
  const pair = `${percentDecoded(url.username)}:${percentDecoded(url.password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Received headers, each as one text. */
export function plainHeaders(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) out[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return out;
}
