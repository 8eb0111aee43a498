import type { Context } from 'hono';
import { z } from 'zod';

/** What the server adds to a request. */
const SOCKET = z.object({ incoming: z.object({ socket: z.object({ remoteAddress: z.string() }) }) });

/** Where a request came from: the next hop, which may be a proxy. */
export function remoteAddress({ env }: Context): string {
  const known = SOCKET.safeParse(env);
  return known.success ? known.data.incoming.socket.remoteAddress : 'unknown';
}
