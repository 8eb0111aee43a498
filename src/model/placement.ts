import type { Placement } from './session-messages.ts';

/** Operators that are nearly all of a model's work: on the CPU they make a GPU run a CPU run. */
const HEAVY_OPERATOR = /Conv|MatMul|Gemm|Attention/;

interface ProfileEvent {
  cat?: string;
  args?: { provider?: string; op_name?: string };
}

/** Which provider ran the nodes, from ONNX Runtime's profile of a run. */
export function readPlacement(profileJson: string): Placement {
  const events = (JSON.parse(profileJson) as ProfileEvent[]).filter((event) => event.cat === 'Node');
  const ran = events.flatMap(({ args }) => (args?.provider === undefined ? [] : [args]));
  const onCpu = ran.filter((args) => args.provider === 'CPUExecutionProvider');
  return {
    gpuNodes: ran.length - onCpu.length,
    cpuNodes: onCpu.length,
    cpuOperators: [...new Set(onCpu.map((args) => args.op_name ?? ''))].sort(),
  };
}

/** Why this is no GPU run, or null: nothing ran there, or the heavy work did not. */
export function notOnGpu(placement: Placement): string | null {
  if (placement.gpuNodes === 0) return 'it came up, but every operator ran on the CPU';
  const heavy = placement.cpuOperators.filter((operator) => HEAVY_OPERATOR.test(operator));
  return heavy.length === 0 ? null : `it came up, but ${heavy.join(', ')} ran on the CPU`;
}
