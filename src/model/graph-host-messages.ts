import type { ExecutionProvider } from '../base/settings.ts';
import type { Placement, ProviderFailure } from './session-messages.ts';

/** What the thread is started with. */
export interface HostOptions {
  /** Tried in this order by the first graph; the others run where it came up. */
  providers: readonly ExecutionProvider[];
  requireGpu: boolean;
  /** CPU threads of one run; by default the machine's cores. */
  threads?: number;
}

/** Values of a tensor; the type of the array is the type of the tensor. */
export interface TensorData {
  data: Float32Array | Uint8Array | BigInt64Array;
  dims: readonly number[];
}

export interface RunCall {
  graph: string;
  feeds: Readonly<Record<string, TensorData>>;
  /** Inputs that are kept tensors: input's name to tensor's name. */
  reads?: Readonly<Record<string, string>>;
  /** Outputs that become kept tensors, once the run is over: output's name to tensor's name. */
  writes?: Readonly<Record<string, string>>;
  /** Outputs that are answered with. */
  returns?: readonly string[];
  /** Of `returns`: nothing is kept unless all their values are finite. */
  keepIfFinite?: readonly string[];
}

export type HostRequest =
  | { type: 'load'; name: string; model: Uint8Array | string }
  | { type: 'unload'; name: string }
  | { type: 'run'; run: RunCall }
  | { type: 'write'; tensors: Readonly<Record<string, TensorData>> }
  | { type: 'read'; names: readonly string[] }
  /** Copies kept tensors: new name to the name of what is copied. */
  | { type: 'copy'; names: Readonly<Record<string, string>> }
  | { type: 'remove'; names: readonly string[] };

/** How a graph came up. */
export interface LoadedGraph {
  provider: ExecutionProvider;
  /** Providers before it that did not come up. */
  failures: ProviderFailure[];
  placement?: Placement;
  /** Time of one run on zeros, in milliseconds. */
  runMs: number;
  /** Lengths of the outputs. */
  outputs: Readonly<Record<string, readonly number[]>>;
}
