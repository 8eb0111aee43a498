import type { MixPlan } from '../augment/mix.ts';
import type { Recipe } from '../augment/recipe.ts';
import type { Size } from '../../image/geometry.ts';

/** Which view of one picture to make, and where in the batch it goes. */
export interface ViewTask {
  slot: number;
  offset: number;
  width: number;
  height: number;
  /** What the random view is keyed by; null: the plain view. */
  keys: readonly (string | number)[] | null;
}

export type ToPool =
  | {
      type: 'views';
      id: number;
      pixels: Uint8Array<SharedArrayBuffer>;
      size: Size;
      recipe: Recipe;
      views: readonly ViewTask[];
    }
  | {
      type: 'mix';
      id: number;
      pixels: Uint8Array<SharedArrayBuffer>;
      size: Size;
      count: number;
      plan: MixPlan;
    };

export interface FromPool {
  id: number;
  error?: string;
}

/** What a thread is started with. */
export interface PoolThreadOptions {
  /** The file of decoded pictures, and its beginning in memory. */
  path: string;
  memory: Uint8Array<SharedArrayBuffer>;
}
