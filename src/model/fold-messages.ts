/** What is known of a value of a folded graph; null: a length that is known only when it runs. */
export interface InferredValue {
  name: string;
  /** As ONNX Runtime calls it: 'float32', 'int64', 'bool', ... */
  type: string;
  dims: (number | null)[];
}

export type FromFoldThread =
  { type: 'folded'; model: Uint8Array; values: InferredValue[] } | { type: 'failed'; message: string };
