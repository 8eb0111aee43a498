import type { StoredFile } from '../job/stored-file.ts';

export type Split = 'train' | 'val' | 'test';

/** One labelled image of a dataset. */
export interface Sample {
  /** Of `cls_images`, or where it stands in the job. */
  id: string;
  /** As stored, never signed. */
  url: string;
  /** Where the image lies when `url` is a path in Supabase Storage; null when it is an address. */
  storage: StoredFile | null;
  /** Position of its class in `classNames`. */
  label: number;
  /** As the dataset says it; null where it says nothing. */
  assigned: Split | null;
}

export interface Dataset {
  /** What messages call it. */
  name: string;
  /** By label. */
  classNames: readonly string[];
  samples: readonly Sample[];
  /** Labels that were left out while reading, and why. */
  leftOut: LeftOut;
}

export interface LeftOut {
  /** Of classes that are not active. */
  inactive_class: number;
  /** Images that carry labels of several classes: this dataset has one label an image. */
  contradicting: number;
  contradicting_ids: string[];
}

export function noneLeftOut(): LeftOut {
  return { inactive_class: 0, contradicting: 0, contradicting_ids: [] };
}
