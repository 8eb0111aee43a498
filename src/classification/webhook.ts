import { messageOf } from '../base/errors.ts';
import type { Http } from '../http/http.ts';
import type { ClassMetrics } from './metrics/metrics.ts';

/** What the API is told of a run that is completed; it makes its row of the trained model from it. */
export interface WebhookBody {
  training_run_id: string;
  status: 'completed';
  model_url: string;
  onnx_url: string | null;
  /** `[true class][predicted class]`, counts. */
  confusion_matrix: number[][];
  /** By the class' name. */
  per_class_metrics: Record<string, ClassMetrics>;
}

export interface WebhookOptions {
  http: Http;
  /** As in `https://api.example.com`. */
  apiUrl: string;
  body: WebhookBody;
  warn: (message: string) => void;
  signal?: AbortSignal | undefined;
}

const PATH = '/api/v1/classification/training/webhook';
const TIMEOUT_MS = 30_000;
/** Half a minute in all, as the waits double. */
const ATTEMPTS = 7;

/** Tells the API. The model is stored and the row says so: an API that does not answer becomes a warning. */
export async function sendWebhook({ http, apiUrl, body, warn, signal }: WebhookOptions): Promise<void> {
  const url = apiUrl.replace(/\/+$/, '') + PATH;
  try {
    await http.post(url, { json: body, timeoutMs: TIMEOUT_MS, attempts: ATTEMPTS, signal });
  } catch (error) {
    warn(`the API was not told that the run is completed: ${messageOf(error)}`);
  }
}
