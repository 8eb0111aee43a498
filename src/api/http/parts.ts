import type { Log } from '../../base/log.ts';
import type { VectorStore } from '../../qdrant/store.ts';
import type { Database } from '../../supabase/database.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Lookup } from '../plan/lookup.ts';
import type { RunReader } from '../runs/run-view.ts';
import type { Runs } from '../runs/runs.ts';
import type { EmbedImage } from '../search/embed-image.ts';

/** What the routes work with. */
export interface ApiParts {
  database: Database;
  store: VectorStore;
  lookup: (signal: AbortSignal) => Lookup;
  runs: Runs;
  reader: RunReader;
  metrics: Metrics;
  /** What makes a vector of an uploaded image; absent: such searches are not served. */
  embedImage: EmbedImage | undefined;
  /** Of RunPod's webhook; absent: it is not served. */
  webhookSecret: string | undefined;
  /** Whether requests are to be sent here: resolves, or throws what is not ready. */
  ready: () => Promise<void>;
  log: Log;
}
