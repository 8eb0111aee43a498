import { readSettings, type Settings } from '../base/settings.ts';
import { createHttp, type Http } from '../http/http.ts';
import { createWholeDecoder, type DecodeWhole } from '../image/decode.ts';
import type { Trainer, TrainerOptions } from '../training/trainer.ts';

export type CreateTrainer = (options: TrainerOptions) => Promise<Trainer>;

/** What outlives a job. */
export interface ClassificationTools {
  settings: Settings;
  /** For models, checkpoints and the webhook; pictures are fetched as each job says. */
  http: Http;
  /** Its bound on memory holds for all jobs together. */
  decode: DecodeWhole;
  /** How long Supabase may be away before a job ends; two minutes by default. */
  patienceMs?: number;
  /** For how long after a run's start whoever submitted it may still write over its row; two seconds by default. */
  settleMs?: number;
  /** Where runs keep what they need on the disk; a folder of the system's own for passing files by default. */
  runsFolder?: string;
  /** Time between two checkpoints at least; 20 seconds by default. */
  checkpointIntervalMs?: number;
  /** Makes what learns; its thread is one of its own. */
  createTrainer?: CreateTrainer;
  /** Room on the disk that a folder lies on, in bytes. */
  freeBytes?: (folder: string) => Promise<number>;
  /** Between two checkpoints that go to the bucket; ten minutes by default. */
  uploadIntervalMs?: number;
  close(): Promise<void>;
}

export function createClassificationTools(settings: Settings = readSettings()): ClassificationTools {
  const http = createHttp({ allowPrivateHosts: settings.ALLOW_PRIVATE_HOSTS ?? false });
  return { settings, http, decode: createWholeDecoder(), close: () => http.close() };
}
