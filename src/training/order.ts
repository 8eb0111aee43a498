import type { Node } from '../onnx/types.ts';
import { misfit } from './dims.ts';

/** The nodes with makers before their readers; otherwise in the order given. @throws ModelError on a circle. */
export function inOrder(nodes: readonly Node[]): Node[] {
  const maker = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  maker.delete('');
  const state = new Map<Node, 'open' | 'done'>();
  const ordered: Node[] = [];
  // An explicit stack: graphs are deeper than the language's own.
  const stack: Node[] = [];
  for (const start of nodes) {
    stack.push(start);
    for (let node = stack.at(-1); node !== undefined; node = stack.at(-1)) {
      if (state.get(node) === 'done') {
        stack.pop();
        continue;
      }
      const waiting = node.inputs
        .map((name) => maker.get(name))
        .filter((needed) => needed !== undefined && state.get(needed) !== 'done') as Node[];
      if (waiting.length === 0) {
        state.set(node, 'done');
        ordered.push(node);
        stack.pop();
        continue;
      }
      if (state.get(node) === 'open' && waiting.some((needed) => state.get(needed) === 'open')) {
        throw misfit(`the node '${node.name ?? node.opType}' needs its own result`);
      }
      state.set(node, 'open');
      stack.push(...waiting.toReversed());
    }
  }
  return ordered;
}
