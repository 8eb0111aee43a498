import { TestEnvironment as NodeEnvironment } from 'jest-environment-node';

/** What native addons check by identity: the host's own constructors. */
const HOST_TYPES = [
  'ArrayBuffer',
  'SharedArrayBuffer',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float16Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
];

/** A Node environment in which ONNX Runtime and sharp accept the typed arrays that a test makes. */
export default class NativeAddonEnvironment extends NodeEnvironment {
  constructor(config, context) {
    super(config, context);
    for (const name of HOST_TYPES) {
      if (globalThis[name] !== undefined) this.global[name] = globalThis[name];
    }
  }
}
