import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../src/base/log.ts';
import { createGraphHost, type GraphHost, type TensorData } from '../../src/model/graph-host.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { writeModel } from '../../src/onnx/codec.ts';

/** `next = total + added · x`, `spread = x / total`. */
function counter(length = 3, added = 1): Uint8Array {
  const g = graphBuilder({ name: 'counter' });
  const [total, x] = [g.input('total', 'float32', [length]), g.input('x', 'float32', [length])];
  g.output(g.node('Add', [total, g.node('Mul', [x, g.floats([added], [])])]), 'float32', [length], 'next');
  g.output(g.node('Div', [x, total]), 'float32', [length], 'spread');
  return writeModel(g.toModel());
}

const floats = (...values: number[]): TensorData => ({
  data: Float32Array.from(values),
  dims: [values.length],
});

let host: GraphHost;
beforeEach(() => {
  host = createGraphHost({ providers: ['cpu'], requireGpu: false, log: SILENT_LOG });
});
afterEach(() => host.close());

const adding = (x: TensorData, graph = 'counter') =>
  host.run({
    graph,
    feeds: { x },
    reads: { total: 'sum' },
    writes: { next: 'sum' },
    returns: ['next'],
  });

test('outputs of a run stay in the thread as inputs of the next, for every graph in it', async () => {
  await host.load('counter', counter());
  await host.load('tens', counter(3, 10));
  await host.write({ sum: floats(1, 2, 3) });
  expect((await adding(floats(1, 1, 1))).next?.data).toEqual(Float32Array.of(2, 3, 4));
  expect((await adding(floats(1, 1, 1), 'tens')).next?.data).toEqual(Float32Array.of(12, 13, 14));
  const read = async () => (await host.read(['sum'])).sum;
  expect(await read()).toEqual({ data: Float32Array.of(12, 13, 14), dims: [3] });
  // Reading takes nothing away.
  expect(await read()).toEqual({ data: Float32Array.of(12, 13, 14), dims: [3] });
});

test('a copy keeps what it was when its source goes on', async () => {
  await host.load('counter', counter());
  await host.write({ sum: floats(1, 2, 3) });
  await host.copy({ best: 'sum' });
  await adding(floats(5, 5, 5));
  const { best, sum } = await host.read(['best', 'sum']);
  expect(best?.data).toEqual(Float32Array.of(1, 2, 3));
  expect(sum?.data).toEqual(Float32Array.of(6, 7, 8));
  await host.remove(['best']);
  await expect(host.read(['best'])).rejects.toMatchObject({ code: 'graph_invalid' });
});

test('nothing is kept of a run whose watched output is not finite', async () => {
  await host.load('counter', counter());
  await host.write({ sum: floats(0, 2, 3) });
  const answer = await host.run({
    graph: 'counter',
    feeds: { x: floats(1, 1, 1) },
    reads: { total: 'sum' },
    writes: { next: 'sum' },
    returns: ['spread'],
    keepIfFinite: ['spread'],
  });
  expect(answer.spread?.data[0]).toBe(Infinity);
  expect((await host.read(['sum'])).sum?.data).toEqual(Float32Array.of(0, 2, 3));
});

test('a part of a larger buffer is fed without taking the buffer away', async () => {
  await host.load('counter', counter());
  const pool = Float32Array.of(9, 1, 2, 3, 9);
  await host.write({ sum: { data: pool.subarray(1, 4), dims: [3] } });
  await adding({ data: pool.subarray(1, 4), dims: [3] });
  expect(pool).toEqual(Float32Array.of(9, 1, 2, 3, 9));
  const shared = new Float32Array(new SharedArrayBuffer(12));
  shared.set([1, 1, 1]);
  expect((await adding({ data: shared, dims: [3] })).next?.data).toEqual(Float32Array.of(3, 5, 7));
});

test('says how a graph came up, and a graph of the same name takes its place', async () => {
  expect(host.provider).toBeUndefined();
  const loaded = await host.load('counter', counter());
  expect(loaded).toMatchObject({ provider: 'cpu', failures: [], outputs: { next: [3], spread: [3] } });
  expect(loaded.runMs).toBeGreaterThan(0);
  expect(host.provider).toBe('cpu');
  await host.load('counter', counter(2));
  await host.write({ sum: floats(1, 2) });
  expect((await adding(floats(1, 1))).next?.data).toEqual(Float32Array.of(2, 3));
});

describe('refused', () => {
  test('a GPU that is required and of which none is named', () => {
    expect(() => createGraphHost({ providers: ['cpu'], requireGpu: true, log: SILENT_LOG })).toThrow(
      expect.objectContaining({ code: 'gpu_required' }),
    );
  });

  test('a GPU that does not come up', async () => {
    await using strict = createGraphHost({ providers: ['cuda', 'cpu'], requireGpu: true, log: SILENT_LOG });
    await expect(strict.load('counter', counter())).rejects.toMatchObject({ code: 'gpu_required' });
  });

  test('a graph with an open length, a file that is none, a graph that was not loaded', async () => {
    const g = graphBuilder({ name: 'open' });
    g.output(g.node('Neg', [g.input('x', 'float32', ['batch'])]), 'float32', ['batch'], 'y');
    await expect(host.load('open', writeModel(g.toModel()))).rejects.toThrow(/lengths must be fixed/);
    await expect(host.load('none', '/nowhere/model.onnx')).rejects.toMatchObject({
      code: 'model_load_failed',
    });
    await expect(adding(floats(1))).rejects.toMatchObject({ code: 'graph_invalid' });
  });

  test('a run with inputs that do not fit, and the host goes on', async () => {
    await host.load('counter', counter());
    await host.write({ sum: floats(1, 2, 3) });
    await expect(adding(floats(1, 1))).rejects.toMatchObject({ code: 'inference_failed' });
    expect((await adding(floats(1, 1, 1))).next?.data).toEqual(Float32Array.of(2, 3, 4));
  });

  test('more memory than there is: retryable, so that the caller may take less', async () => {
    const g = graphBuilder({ name: 'huge' });
    // 2^50 bytes: more than a process can address, whatever the system promises.
    const dims = [2 ** 24, 2 ** 24];
    const x = g.input('x', 'float32', [1, 1]);
    const wide = g.node('Expand', [x, g.ints(dims)]);
    g.output(g.node('ReduceSum', [wide], { attributes: { keepdims: 0 } }), 'float32', [], 'y');
    await expect(host.load('huge', writeModel(g.toModel()))).rejects.toMatchObject({
      code: 'out_of_memory',
      retryable: true,
    });
  });

  test('what waits when it is closed, and what comes after', async () => {
    await host.load('counter', counter());
    await host.write({ sum: floats(1, 2, 3) });
    const waiting = Array.from({ length: 3 }, () => adding(floats(1, 1, 1)));
    const closed = host.close();
    for (const call of waiting) await expect(call).rejects.toMatchObject({ code: 'model_closed' });
    await closed;
    await expect(adding(floats(1, 1, 1))).rejects.toMatchObject({ code: 'model_closed' });
  });
});
