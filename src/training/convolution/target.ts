/**
 * What the graph will run on. Several forms of a gradient compute the same at different speeds: `cpu` picks by what was
 * measured on ONNX Runtime's CPU kernels, `any` keeps to forms that every provider has good kernels for.
 */
export type Target = 'cpu' | 'any';
