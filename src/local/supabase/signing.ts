import type { Answer } from './serve.ts';

const SIGN_PATH = /^\/storage\/v1\/object\/sign\/([^/]+)(?:\/(.+))?$/;
const STORAGE_PREFIX = '/storage/v1';

/**
 * Signing as Storage does it. `@supabase/lite` signs one object at a time, answers under another key and with another
 * prefix than storage-js reads, and takes a request for many for one without a path.
 */
export function signAsStorageDoes(answer: Answer): Answer {
  const signOne = async (
    request: Request,
    bucket: string,
    path: string,
    expiresIn: number,
  ): Promise<Response> => {
    const encoded = path.split('/').map(encodeURIComponent).join('/');
    const url = new URL(`${STORAGE_PREFIX}/object/sign/${bucket}/${encoded}`, request.url);
    const response = await answer(
      new Request(url, { method: 'POST', headers: request.headers, body: JSON.stringify({ expiresIn }) }),
    );
    if (!response.ok) return response;
    const { signedUrl } = (await response.json()) as { signedUrl: string };
    const token = new URL(signedUrl, request.url).searchParams.get('token') ?? '';
    return Response.json({ signedURL: `/object/sign/${decodeURIComponent(bucket)}/${path}?token=${token}` });
  };

  return async (request) => {
    const match = SIGN_PATH.exec(new URL(request.url).pathname);
    if (request.method !== 'POST' || match === null) return answer(request);
    const [, bucket = '', path] = match;
    const { expiresIn, paths = [] } = (await request.json()) as { expiresIn: number; paths?: string[] };
    request.headers.delete('content-length');
    if (path !== undefined) return signOne(request, bucket, decodeURIComponent(path), expiresIn);
    const signed = [];
    for (const one of paths) {
      const response = await signOne(request, bucket, one, expiresIn);
      const body = (await response.json()) as { signedURL?: string; message?: string };
      signed.push({ path: one, signedURL: body.signedURL ?? null, error: body.message ?? null });
    }
    return Response.json(signed);
  };
}
