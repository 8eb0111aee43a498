import { createPicture, type Picture } from './canvas.ts';
import { FRAME_COUNT, type ShelfProduct } from './catalogue.ts';
import type { Panels } from './label.ts';
import { PI, floor, hypot, max, min } from './maths.ts';
import { renderProduct, type Sprite } from './render-product.ts';

/** Height of the product in its frames, in pixels, and the empty margin around it. */
const FRAME_PRODUCT_HEIGHT = 240;
const FRAME_MARGIN = 12;

/** One packshot of the turntable: the product turned by index · 30 degrees on a light ground with a soft shadow. */
export function drawFrame(product: ShelfProduct, panels: Panels, index: number): Picture {
  const turn = (2 * PI * index) / FRAME_COUNT;
  const sprite = renderProduct(product, panels, { height: FRAME_PRODUCT_HEIGHT, turn });
  const frame = createPicture(
    sprite.width + 2 * FRAME_MARGIN,
    sprite.height + 2 * FRAME_MARGIN,
    [246, 246, 245],
  );
  drawShadow(frame);
  place(frame, sprite, FRAME_MARGIN, FRAME_MARGIN);
  return frame;
}

function drawShadow(frame: Picture): void {
  const { width, height, data } = frame;
  const cy = height - FRAME_MARGIN - 6;
  for (let y = floor(height * 0.9); y < height; y++) {
    for (let x = 0; x < width; x++) {
      const d = hypot((x - width / 2) / (width * 0.46), (y - cy) / (height * 0.035));
      const dark = 1 - 0.22 * max(0, 1 - d);
      const at = (y * width + x) * 3;
      for (let c = 0; c < 3; c++) data[at + c] = (data[at + c] ?? 0) * dark;
    }
  }
}

/** Lays a sprite over a picture, its upper left corner at (left, top); what falls outside is cut off. */
export function place(picture: Picture, sprite: Sprite, left: number, top: number): void {
  const x0 = max(0, -left);
  const x1 = min(sprite.width, picture.width - left);
  const y0 = max(0, -top);
  const y1 = min(sprite.height, picture.height - top);
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) {
      const from = (y * sprite.width + x) * 4;
      const cover = (sprite.data[from + 3] ?? 0) / 255;
      if (cover === 0) continue;
      const to = ((y + top) * picture.width + x + left) * 3;
      for (let c = 0; c < 3; c++) {
        const under = picture.data[to + c] ?? 0;
        picture.data[to + c] = under + ((sprite.data[from + c] ?? 0) - under) * cover;
      }
    }
  }
}
