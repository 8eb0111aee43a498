import type { ExecutionProvider } from '../base/settings.ts';
import type { InferenceSizes } from './sizes.ts';

/** What the thread is started with. */
export interface ThreadOptions {
  model: Uint8Array | string;
  inputName: string;
  outputName: string;
  height: number;
  width: number;
  /** The batch that the file fixes. */
  fixedBatch: number | null;
  providers: readonly ExecutionProvider[];
  requireGpu: boolean;
  /** What a session of that provider is to have. */
  sizes: Readonly<Record<ExecutionProvider, InferenceSizes>>;
  /** One shared int32: not 0 = closing, leave what still waits. */
  closing: Int32Array;
}

export interface ProviderFailure {
  provider: ExecutionProvider;
  reason: string;
}

export type ToThread = { type: 'embed'; id: number; pixels: Uint8Array; count: number } | { type: 'close' };

export type FromThread =
  | {
      type: 'ready';
      dim: number;
      provider: ExecutionProvider;
      batchSize: number;
      /** Providers before it that did not come up. */
      failures: ProviderFailure[];
      /** For a GPU provider: how many operators ran there and which ran on the CPU. */
      placement?: Placement;
    }
  | { type: 'vectors'; id: number; vectors: Float32Array }
  | { type: 'halved'; batchSize: number; reason: string }
  /** `id` absent: the session did not come up. */
  | { type: 'failed'; id?: number; code: string; message: string };

export interface Placement {
  gpuNodes: number;
  cpuNodes: number;
  /** Kinds of operators on the CPU. */
  cpuOperators: string[];
}
