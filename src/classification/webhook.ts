import { messageOf } from '../base/errors.ts';
import type { Http } from '../http/http.ts';
import type { ClassificationInput } from './input.ts';
import type { ClassMetrics } from './metrics/metrics.ts';
import type { CompletedParts } from './output.ts';

/** What the API is told of a run that is completed; it makes its row of the trained model from it. */
interface WebhookBody {
  training_run_id: string;
  status: 'completed';
  model_url: string;
  onnx_url: string | null;
  /** `[true class][predicted class]`, counts. */
  confusion_matrix: number[][];
  /** By the class' name. */
  per_class_metrics: Record<string, ClassMetrics>;
}

export interface TellOptions {
  input: Pick<ClassificationInput, 'training_run_id' | 'api_url'>;
  parts: CompletedParts;
  http: Http;
  warn: (message: string) => void;
}

const PATH = '/api/v1/classification/training/webhook';
const TIMEOUT_MS = 30_000;
/** With waits that double, up to ten seconds: some twenty seconds in all where it is refused at once. */
const ATTEMPTS = 8;

/** Tells the API, if the job names one. The model is stored and the row says so: no answer becomes a warning. */
export async function tellApi({ input, parts, http, warn }: TellOptions): Promise<void> {
  const { api_url: apiUrl, training_run_id } = input;
  if (apiUrl === undefined) return;
  const body: WebhookBody = {
    training_run_id,
    status: 'completed',
    model_url: parts.model_url,
    onnx_url: parts.onnx_url,
    confusion_matrix: parts.metrics.confusion_matrix,
    per_class_metrics: parts.metrics.per_class,
  };
  try {
    await http.post(apiUrl.replace(/\/+$/, '') + PATH, {
      json: body,
      timeoutMs: TIMEOUT_MS,
      attempts: ATTEMPTS,
    });
  } catch (error) {
    warn(`the API was not told that the run is completed: ${messageOf(error)}`);
  }
}
