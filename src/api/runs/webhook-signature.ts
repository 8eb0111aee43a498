import { createHmac, timingSafeEqual } from 'node:crypto';

import type { RunKindName } from './run-kinds.ts';

/**
 * What stands in the address that RunPod calls for a run: RunPod sends no header of ours. It is made of the secret and
 * the run, so that an address that somebody has seen opens one run, and never shows the secret.
 */
export function webhookSignature(secret: string, kind: RunKindName, id: string): string {
  return createHmac('sha256', secret).update(`${kind}/${id}`).digest('base64url');
}

/** In a time that says nothing of how much was right. */
export function isSignatureOf(
  signature: string,
  secret: string,
  { kind, id }: { kind: RunKindName; id: string },
): boolean {
  const expected = Buffer.from(webhookSignature(secret, kind, id));
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected);
}
