import type { Rule } from './rule.ts';
import { ACTIVATION_RULES } from './rules/activations.ts';
import { ARITHMETIC_RULES } from './rules/arithmetic.ts';
import { CONVOLUTION_RULES } from './rules/convolution.ts';
import { INDEXING_RULES } from './rules/indexing.ts';
import { MATRIX_RULES } from './rules/matrices.ts';
import { NORMALIZATION_RULES } from './rules/normalization.ts';
import { POOLING_RULES } from './rules/pooling.ts';
import { REDUCTION_RULES } from './rules/reductions.ts';
import { SHAPE_RULES } from './rules/shapes.ts';

/** Every standard operator that gradients flow through, by its name. */
export const RULES: ReadonlyMap<string, Rule> = new Map(
  Object.entries({
    ...ARITHMETIC_RULES,
    ...ACTIVATION_RULES,
    ...MATRIX_RULES,
    ...SHAPE_RULES,
    ...INDEXING_RULES,
    ...REDUCTION_RULES,
    ...NORMALIZATION_RULES,
    ...CONVOLUTION_RULES,
    ...POOLING_RULES,
  }),
);
