import type { Preprocessing } from '../image/preprocessing.ts';
import type { ModelType } from './catalogue.ts';
import type { InferenceSizes } from './sizes.ts';

/** A model that is ready: its sessions run in threads of their own. */
export interface EmbeddingModel extends AsyncDisposable {
  readonly modelType: ModelType;
  /** What people call it: the model type, or the checkpoint's file name without its ending. */
  readonly name: string;
  /** Vector length, known before any image is seen. */
  readonly dim: number;
  /** `{model type}@{16 hex}` over weights, preprocessing and pooling: equal fingerprints, comparable vectors. */
  readonly fingerprint: string;
  readonly preprocessing: Preprocessing;
  /** The execution provider that runs it: `cuda`, `webgpu`, `cpu`. */
  readonly provider: string;
  /** How it was decided to run it, before anything ran out of memory. */
  readonly sizes: InferenceSizes;
  /** Images a run at this moment; halved when memory runs out. */
  readonly batchSize: number;
  /**
   * True for good once it was closed, its thread has ended, or a run failed in it (memory that ran out at the smallest
   * batch, a fault of the GPU): what it still takes may fail as well, and another one should be loaded.
   */
  readonly stopped: boolean;
  /**
   * Vectors of `count` pictures, in order, each of length 1. `pixels` are `[count, height, width, 3]` RGB bytes; they
   * are copied at once, so the buffer is the caller's again when this returns its promise (a SharedArrayBuffer is
   * read in place: leave it alone until then). Calls queue up, so a caller keeps
   * every session busy by asking for two batches each, one to run and one to wait. A picture on which the model overflows gets a vector of NaN or infinity.
   * @throws ModelError `model_closed`, `out_of_memory`, `model_thread_stopped`, `inference_failed`.
   */
  embed(pixels: Uint8Array, count: number): Promise<Float32Array>;
  /** Ends the thread; calls that still wait are refused. */
  close(): Promise<void>;
}
