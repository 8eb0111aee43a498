import { createRandom } from '../local/shelf/random.ts';
import type { Shelf } from '../local/shelf/shelf.ts';

/** Cutouts with the product that they show, as a dataset to train a classifier with. */
export interface LabelledCutouts {
  /** Products by name, in alphabetical order as the database has them. */
  classNames: string[];
  images: { file: string; label: number }[];
}

/** A product that was photographed less often is no class of its own. */
const FEWEST = 20;

/** The products of the shelf with many cutouts. */
export function labelledCutouts(shelf: Shelf): LabelledCutouts {
  const byProduct = Map.groupBy(
    shelf.cutouts.filter(({ productId, defect }) => productId !== null && defect === null),
    ({ productId }) => productId ?? '',
  );
  const products = shelf.products
    .filter(({ id }) => (byProduct.get(id)?.length ?? 0) >= FEWEST)
    .map(({ id, name, barcode }) => ({ id, className: `${name} ${barcode}` }))
    .sort((a, b) => (a.className < b.className ? -1 : 1));
  return {
    classNames: products.map(({ className }) => className),
    images: products.flatMap(({ id }, label) =>
      (byProduct.get(id) ?? []).map(({ file }) => ({ file, label })),
    ),
  };
}

/** The control: the same images with labels that mean nothing. What is learnt from these is no knowledge. */
export function shuffledLabels({ classNames, images }: LabelledCutouts): LabelledCutouts {
  const labels = createRandom(1, 'shuffled labels').shuffle(images.map(({ label }) => label));
  return { classNames, images: images.map(({ file }, i) => ({ file, label: labels[i] ?? 0 })) };
}
