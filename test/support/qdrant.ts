import { startLocalQdrant } from '../../src/local/qdrant/qdrant.ts';
import { createVectorStore, type VectorStore } from '../../src/qdrant/store.ts';

export interface TestQdrant extends AsyncDisposable {
  url: string;
  apiKey: string;
  store: VectorStore;
  close(): Promise<void>;
}

/** An empty Qdrant of its own for a test, with an api key, and a store on it: `await using qdrant = await testQdrant()`. */
export async function testQdrant(options: { dataDir?: string } = {}): Promise<TestQdrant> {
  const apiKey = 'test-qdrant-key';
  const server = await startLocalQdrant({ ...options, apiKey });
  const { url } = server;
  return {
    url,
    apiKey,
    store: createVectorStore({ url, apiKey }),
    close: () => server.close(),
    [Symbol.asyncDispose]: () => server.close(),
  };
}
