export interface LocalQdrantOptions {
  /** Where everything is kept; in memory where absent. */
  dataDir?: string;
  port?: number;
  apiKey?: string;
}

export interface LocalQdrant extends AsyncDisposable {
  url: string;
  apiKey: string | undefined;
  close(): Promise<void>;
}

export function startLocalQdrant(options: LocalQdrantOptions = {}): Promise<LocalQdrant> {
  return Promise.reject(new Error(`not built yet: ${JSON.stringify(options)}`));
}
