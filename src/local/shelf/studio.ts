import sharp from 'sharp';

import type { Picture } from './canvas.ts';
import type { ShelfProduct } from './catalogue.ts';
import { drawAugmented, drawCutout, drawReal, type Photo, type Surroundings } from './cutout.ts';
import { drawFrame } from './frame.ts';
import { drawPanels, type Panels } from './label.ts';
import { createRandom } from './random.ts';
import { renderProduct, type Sprite } from './render-product.ts';
import type { Defect, Shelf, ShelfCutout, ShelfImage } from './shelf.ts';

/** Draws the pictures of a shelf, each by itself and always the same. What was printed is kept for a while. */
export interface Studio {
  /** Pixels of a frame; `index` 0 is the front, each further one 30 degrees on. */
  drawFrame(product: ShelfProduct, index: number): Picture;
  /** Pixels of a cutout before JPEG. @throws RangeError for a broken one, which has no pixels. */
  drawCutout(cutout: ShelfCutout): Photo;
  /** PNG. */
  renderFrame(product: ShelfProduct, index: number): Promise<Uint8Array>;
  /** JPEG, or what a broken file holds; null where there is no file. */
  renderCutout(cutout: ShelfCutout): Promise<Uint8Array | null>;
  /** JPEG. */
  renderImage(image: ShelfImage): Promise<Uint8Array>;
}

/** Printed panels take half a megabyte a product: keep those of the few that stand beside each other. */
const KEPT_PANELS = 12;
const KEPT_NEIGHBOURS = 60;
/** A low effort: the files are drawn anew at any time, and only this machine reads them. */
const PNG_EFFORT = { compressionLevel: 3, adaptiveFiltering: false };

export function createStudio(shelf: Shelf): Studio {
  const byId = new Map(shelf.products.map((p) => [p.id, p]));
  const panels = keep<Panels>(KEPT_PANELS);
  const neighbours = keep<Sprite>(KEPT_NEIGHBOURS);
  const productOf = (id: string | null): ShelfProduct => {
    const product = id === null ? undefined : byId.get(id);
    if (product === undefined) throw new RangeError(`the shelf has no product ${String(id)}`);
    return product;
  };
  const printed = (product: ShelfProduct) => panels(product.id, () => drawPanels(product));
  const sprite = (product: ShelfProduct, height: number, turn: number) =>
    renderProduct(product, printed(product), { height, turn });
  const frontal = (product: ShelfProduct, height: number) =>
    neighbours(`${String(product.index)}/${String(height)}`, () => sprite(product, height, 0));

  const beside = (product: ShelfProduct, step: 1 | -1): ShelfProduct => {
    const at = shelf.planogram.indexOf(product.index);
    const index = shelf.planogram.at((at + step) % shelf.planogram.length);
    return shelf.products[index ?? 0] ?? product;
  };
  const around = (product: ShelfProduct, key: string): Surroundings => {
    const random = createRandom(key, 'neighbours');
    // A product often stands in several rows beside itself.
    const left = random.chance(0.45) ? product : beside(product, -1);
    const right = random.chance(0.45) ? product : beside(product, 1);
    return {
      product: (height, turn) => sprite(product, height, turn),
      left: (height) => frontal(left, height),
      right: (height) => frontal(right, height),
    };
  };

  const studio: Studio = {
    drawFrame: (product, index) => drawFrame(product, printed(product), index),
    drawCutout: (cutout) =>
      drawCutout(around(productOf(cutout.productId), cutout.key), createRandom(cutout.key, 'picture')),
    renderFrame: async (product, index) => encodePng(studio.drawFrame(product, index)),
    renderCutout: (cutout) =>
      cutout.defect === null
        ? encodeJpeg(studio.drawCutout(cutout))
        : renderDefect(cutout.defect, () => encodeJpeg(defective(studio, shelf))),
    renderImage: async (image) => {
      const product = productOf(image.productId);
      const random = createRandom(image.key, 'picture');
      const index = image.frameIndex ?? random.pick([0, 0, 1, 11]);
      const frame = studio.drawFrame(product, image.type === 'real' ? random.pick([0, 1, 11]) : index);
      return encodeJpeg(image.type === 'real' ? drawReal(frame, random) : drawAugmented(frame, random));
    },
  };
  return studio;
}

const raw = ({ width, height, data }: Picture) =>
  sharp(Buffer.from(data.buffer, data.byteOffset, data.byteLength), { raw: { width, height, channels: 3 } });

async function encodePng(picture: Picture): Promise<Uint8Array> {
  return raw(picture).png(PNG_EFFORT).toBuffer();
}

async function encodeJpeg(photo: Photo): Promise<Uint8Array> {
  return raw(photo.picture).jpeg({ quality: photo.jpegQuality, chromaSubsampling: '4:2:0' }).toBuffer();
}

/** The picture that a truncated file begins with. */
function defective(studio: Studio, shelf: Shelf): Photo {
  const [first] = shelf.products;
  if (first === undefined) throw new RangeError('the shelf has no product');
  return { picture: studio.drawFrame(first, 0), jpegQuality: 80 };
}

async function renderDefect(defect: Defect, whole: () => Promise<Uint8Array>): Promise<Uint8Array | null> {
  switch (defect) {
    case 'missing':
      return null;
    case 'empty':
      return new Uint8Array(0);
    case 'page':
      return Buffer.from('<!doctype html><title>Sign in</title><p>Please sign in to see this picture.</p>\n');
    case 'wrong_type':
      return Buffer.from(
        '%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n',
      );
    case 'truncated': {
      const bytes = await whole();
      return bytes.subarray(0, Math.floor(bytes.length * 0.45));
    }
  }
}

/** A small cache: the one that was used longest ago makes room. */
function keep<V>(most: number): (key: string, make: () => V) => V {
  const kept = new Map<string, V>();
  return (key, make) => {
    const value = kept.get(key) ?? make();
    kept.delete(key);
    kept.set(key, value);
    if (kept.size > most) {
      const [oldest] = kept.keys();
      if (oldest !== undefined) kept.delete(oldest);
    }
    return value;
  };
}
