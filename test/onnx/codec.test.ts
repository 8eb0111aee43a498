import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { readModel, writeModel } from '../../src/onnx/codec.ts';
import { buildTinyClip, buildTinyVit } from '../../src/model/small/tiny-models.ts';
import type { Attribute, Graph, Node, OnnxModel, Tensor, ValueInfo } from '../../src/onnx/types.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 8 });
const bytes = fc.uint8Array({ maxLength: 12 });
const size = fc.integer({ min: -(2 ** 40), max: 2 ** 40 });
const float32 = fc.float({ noNaN: true });
const entries = fc.array(fc.record({ key: text, value: text }), { maxLength: 2 });
/** Field numbers that onnx.proto does not use. */
const unknown = fc.array(
  fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 40 }).map((b) => Uint8Array.of(0xfa, 0x3f, b.length, ...b)),
    fc.constant(Uint8Array.of(0xf8, 0x3f, 0x96, 0x01)),
  ),
  { minLength: 1, maxLength: 2 },
);
const optional = { requiredKeys: [] as [] };

const tensor: fc.Arbitrary<Tensor> = fc
  .tuple(
    fc.record({
      dims: fc.array(size, { maxLength: 4 }),
      dataType: fc.nat(20),
      stringData: fc.array(bytes, { maxLength: 2 }),
      externalData: entries,
      metadata: entries,
    }),
    fc.record(
      {
        name: text,
        docString: text,
        rawData: fc.uint8Array({ maxLength: 9000 }),
        floatData: fc.array(float32, { minLength: 1 }).map((v) => Float32Array.from(v)),
        int32Data: fc.array(fc.integer(), { minLength: 1 }).map((v) => Int32Array.from(v)),
        int64Data: fc
          .array(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), { minLength: 1 })
          .map((v) => BigInt64Array.from(v)),
        doubleData: fc.array(fc.double({ noNaN: true }), { minLength: 1 }).map((v) => Float64Array.from(v)),
        uint64Data: fc
          .array(fc.bigInt(0n, 2n ** 64n - 1n), { minLength: 1 })
          .map((v) => BigUint64Array.from(v)),
        dataLocation: fc.nat(1),
        unknown,
      },
      optional,
    ),
  )
  .map(([required, rest]) => ({ ...required, ...rest }));

const valueInfo: fc.Arbitrary<ValueInfo> = fc
  .tuple(
    fc.record({ name: text, metadata: entries }),
    fc.array(fc.oneof(size, text, fc.constant(null)), { maxLength: 4 }),
  )
  .map(([base, dims]) => ({
    ...base,
    type: {
      tensorType: {
        elemType: 1,
        shape: {
          dims: dims.map((d) => (d === null ? {} : typeof d === 'number' ? { value: d } : { param: d })),
        },
      },
    },
  }));

const { graph } = fc.letrec<{ graph: Graph; node: Node; attribute: Attribute }>((tie) => ({
  attribute: fc
    .tuple(
      fc.record({ name: text }),
      fc.record({ docString: text, unknown }, optional),
      fc.oneof(
        { maxDepth: 2 },
        fc.record({ type: fc.constant('float' as const), value: float32 }),
        fc.record({ type: fc.constant('int' as const), value: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) }),
        fc.record({ type: fc.constant('string' as const), value: bytes }),
        fc.record({ type: fc.constant('tensor' as const), value: tensor }),
        fc.record({
          type: fc.constant('floats' as const),
          value: fc.array(float32).map((v) => Float32Array.from(v)),
        }),
        fc.record({
          type: fc.constant('ints' as const),
          value: fc.array(fc.integer()).map((v) => BigInt64Array.from(v, BigInt)),
        }),
        fc.record({ type: fc.constant('strings' as const), value: fc.array(bytes) }),
        fc.record({ type: fc.constant('tensors' as const), value: fc.array(tensor, { maxLength: 2 }) }),
        fc.record({ type: fc.constant('other' as const), typeId: fc.constantFrom(0, 11, 13) }),
        fc.record({ type: fc.constant('graph' as const), value: tie('graph') }),
      ),
    )
    .map(([name, rest, value]) => ({ ...name, ...rest, ...value })),
  node: fc
    .tuple(
      fc.record({
        opType: text,
        inputs: fc.array(text, { maxLength: 3 }),
        outputs: fc.array(text, { maxLength: 3 }),
        attributes: fc.array(tie('attribute'), { maxLength: 2 }),
        metadata: entries,
      }),
      fc.record({ name: text, domain: text, docString: text, overload: text, unknown }, optional),
    )
    .map(([required, rest]) => ({ ...required, ...rest })),
  graph: fc
    .tuple(
      fc.record({
        name: text,
        nodes: fc.array(tie('node'), { maxLength: 2 }),
        initializers: fc.array(tensor, { maxLength: 2 }),
        inputs: fc.array(valueInfo, { maxLength: 2 }),
        outputs: fc.array(valueInfo, { maxLength: 2 }),
        valueInfos: fc.array(valueInfo, { maxLength: 1 }),
        metadata: entries,
      }),
      fc.record({ docString: text, unknown }, optional),
    )
    .map(([required, rest]) => ({ ...required, ...rest })),
}));

const model: fc.Arbitrary<OnnxModel> = fc
  .tuple(
    fc.record({
      irVersion: fc.nat(),
      graph,
      opsetImports: fc.array(fc.record({ domain: text, version: fc.nat() }), { maxLength: 2 }),
      metadata: entries,
      functions: fc.array(
        graph.map((g) => ({
          name: g.name,
          inputs: ['a'],
          outputs: ['b'],
          attributes: ['alpha'],
          attributeDefaults: [{ name: 'beta', type: 'float' as const, value: 0.5 }],
          nodes: g.nodes,
          opsetImports: [{ version: 17 }],
          valueInfos: g.inputs,
          metadata: g.metadata,
        })),
        { maxLength: 1 },
      ),
    }),
    fc.record({ producerName: text, modelVersion: size, docString: text, unknown }, optional),
  )
  .map(([required, rest]) => ({ ...required, ...rest }));

/** Whether it reads or is refused by name; anything else (a hang, a TypeError) fails the test. */
function outcome(data: Uint8Array): string {
  try {
    readModel(data);
    return 'read';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

describe('lossless', () => {
  test('what was written reads back equal, whatever the model', () => {
    fc.assert(
      fc.property(model, (m) => {
        expect(readModel(writeModel(m))).toEqual(m);
      }),
      { numRuns: 150 },
    );
  });

  test('what was read writes the same bytes again', () => {
    for (const built of [buildTinyVit(), buildTinyClip({ text: true })]) {
      const first = writeModel(built);
      expect(Buffer.from(writeModel(readModel(first))).equals(first)).toBe(true);
    }
  });

  test('lists that other writers leave unpacked are read', () => {
    // An initializer with dims [2, 3] and int64_data [-1, 5], a tag before each number.
    const data = [0x08, 2, 0x08, 3, 0x10, 7, 0x38, ...Array<number>(9).fill(0xff), 0x01, 0x38, 5];
    const bytesOfModel = Uint8Array.of(0x3a, data.length + 2, 0x2a, data.length, ...data);
    const [read] = readModel(bytesOfModel).graph.initializers;
    expect(read?.dims).toEqual([2, 3]);
    expect(read?.int64Data).toEqual(BigInt64Array.of(-1n, 5n));
  });

  test('an attribute without a type is known by its field', () => {
    const attribute = [0x0a, 1, 0x61, 0x18, 3]; // name 'a', i 3
    const node = [0x2a, attribute.length, ...attribute];
    const inGraph = [0x0a, node.length, ...node];
    const read = readModel(Uint8Array.of(0x3a, inGraph.length, ...inGraph));
    expect(read.graph.nodes[0]?.attributes).toEqual([{ name: 'a', type: 'int', value: 3n }]);
  });

  test('big weights are not copied', () => {
    const written = writeModel(buildTinyVit());
    const weights = readModel(written).graph.initializers.map((t) => t.rawData?.buffer);
    expect(new Set(weights)).toEqual(new Set([written.buffer]));
  });
});

describe('malformed', () => {
  test('every cut is refused by name or reads as a shorter model', () => {
    const whole = writeModel(buildTinyClip({ size: 8, dim: 2 }));
    const outcomes = new Set(Array.from(whole.keys(), (end) => outcome(whole.subarray(0, end))));
    // A cut between two fields of the model leaves a whole, shorter message.
    expect([...outcomes].sort()).toEqual(['model_unreadable', 'read']);
    expect(outcome(whole.subarray(0, whole.length >> 1))).toBe('model_unreadable');
  });

  test('random bytes and random damage never hang or throw anything else', () => {
    const whole = writeModel(buildTinyClip({ size: 8, dim: 2 }));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (data) => {
        expect(outcome(data)).toBe('model_unreadable');
      }),
    );
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
        const damaged = whole.slice();
        damaged[at] = value;
        expect(['read', 'model_unreadable']).toContain(outcome(damaged));
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ['an over-long number', [0x08, ...Array<number>(11).fill(0x80), 0x01]],
    ['a length beyond the end', [0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x00]],
    ['a length beyond 2^53', [0x3a, ...Array<number>(9).fill(0xff), 0x01]],
    ['a group, which ONNX never had', [0x3b, 0x3c]],
    ['a graph that is a number', [0x38, 0x01]],
    ['two graphs', [0x3a, 0, 0x3a, 0]],
    ['a name that is not UTF-8', [0x12, 2, 0xc3, 0x28, 0x3a, 0]],
    ['field number 0', [0x00, 0x01]],
    ['nothing', []],
  ])('%s', (_, data) => {
    expect(outcome(Uint8Array.from(data))).toBe('model_unreadable');
  });

  test('nesting without end', () => {
    // Graph (7 or 6), node (1), attribute (5), graph (6), node, ... each around the one before.
    let inner: number[] | Uint8Array = [];
    for (let i = 0; i < 200; i++) {
      for (const tag of [0x32, 0x2a, 0x0a]) {
        const length = inner.length;
        inner = Uint8Array.of(
          tag,
          ...(length < 128 ? [length] : [(length & 0x7f) | 0x80, length >> 7]),
          ...inner,
        );
      }
    }
    const { length } = inner;
    const data = Uint8Array.of(0x3a, (length & 0x7f) | 0x80, length >> 7, ...inner);
    expect(() => readModel(data)).toThrow(/nested deeper/);
  });
});
