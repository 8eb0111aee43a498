import { HandlerError } from '../../base/errors.ts';
import type { VectorStore } from '../store.ts';

interface CopyOptions {
  store: VectorStore;
  from: string;
  to: string;
  signal?: AbortSignal | undefined;
}

/** All points, with vectors and payloads, into a collection that may have some of them already; counted afterwards. */
export async function copyCollection({ store, from, to, signal }: CopyOptions): Promise<void> {
  const shape = await store.inspect(from, signal);
  if (shape === null) return;
  await store.ensure(to, shape.size, signal);
  for await (const page of store.scroll(from, { withVectors: true, signal })) {
    const points = page.map(({ id, payload, vector = new Float32Array() }) => ({ id, payload, vector }));
    await store.upsert(to, points, signal);
  }
  const [there, copied] = await Promise.all([from, to].map((name) => store.countExactly(name, signal)));
  if (there === copied) return;
  const message = `"${from}" has ${String(there)} points and its copy "${to}" ${String(copied)}: was it written to meanwhile?`;
  throw new HandlerError('rebuild_unverified', message);
}
