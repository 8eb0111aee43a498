import { createPicture, paint, paintBox, type Box, type Picture } from './canvas.ts';
import type { ShelfProduct } from './catalogue.ts';
import { luminance, mix, type Colour, type Palette } from './colour.ts';
import { write } from './glyphs.ts';
import { paintMotif } from './motifs.ts';
import { letterField, patternField } from './patterns.ts';
import { createRandom } from './random.ts';

/** Pixels of a label for one height of the product. */
const PIXELS_PER_HEIGHT = 300;

/** The printed faces of a product, unrolled. */
export interface Panels {
  front: Picture;
  back: Picture;
  /** Boxes alone have sides. */
  side: Picture;
}

/** Draws what is printed on a product: the same product, the same pixels. */
export function drawPanels(product: ShelfProduct): Panels {
  const { form, palette } = product;
  const tall = Math.round((form.labelBottom - form.labelTop) * PIXELS_PER_HEIGHT);
  const reach =
    form.wrap === 'around' ? (Math.PI * (form.halfWidth + form.halfDepth)) / 2 : 2 * form.halfWidth;
  const wide = Math.round(reach * PIXELS_PER_HEIGHT);
  const front = createPicture(wide, tall, palette.base);
  drawFront(front, product);
  const back = createPicture(wide, tall, palette.base);
  drawGround(back, product);
  drawInformation(back, product);
  const side = createPicture(
    Math.round(2 * form.halfDepth * PIXELS_PER_HEIGHT),
    tall,
    mix(palette.base, [0, 0, 0], 0.12),
  );
  if (form.shape === 'box') drawSide(side, product);
  return { front, back, side };
}

const whole = (p: Picture): Box => ({ left: 0, top: 0, right: p.width, bottom: p.height });

/** A box by its middle and size, in shares of the panel. */
function place(p: Picture, x: number, y: number, width: number, height: number): Box {
  return {
    left: (x - width / 2) * p.width,
    right: (x + width / 2) * p.width,
    top: (y - height / 2) * p.height,
    bottom: (y + height / 2) * p.height,
  };
}

/** The part that reads upright from the front: on round bodies the middle of the panel. */
const visible = (product: ShelfProduct) => (product.form.wrap === 'around' ? 0.62 : 0.86);

function drawGround(panel: Picture, product: ShelfProduct): void {
  const { print, palette } = product;
  const box = whole(panel);
  if (print.layout === 'family' || print.layout === 'window') {
    if (print.letter === null) {
      paint(panel, { field: patternField(print.pattern, box, print.cover), colour: palette.ink });
    }
  } else if (print.layout === 'split') {
    const rise = 0.08 * panel.height;
    const swing = 2 * Math.PI * print.pattern.phase;
    paint(panel, {
      field: (x, y) => y - panel.height * 0.48 - rise * Math.sin((5 * x) / panel.width + swing),
      colour: palette.ink,
    });
  } else if (print.layout === 'band') {
    const middle = print.motif.y < 0.69 ? 0.86 : 0.08;
    const stripe = place(panel, 0.5, middle, 1, 0.18);
    paint(panel, { field: patternField(print.pattern, stripe, 0.5), colour: palette.accent, box: stripe });
  } else if (print.layout === 'badge') {
    const foot = place(panel, 0.5, 0.93, 1, 0.14);
    paint(panel, {
      field: patternField({ ...print.pattern, period: 0.6 }, foot, 0.5),
      colour: palette.ink,
      box: foot,
    });
  }
}

function drawFront(panel: Picture, product: ShelfProduct): void {
  const { print, palette } = product;
  drawGround(panel, product);
  switch (print.layout) {
    case 'family':
      drawFamilyFront(panel, product);
      break;
    case 'band':
      paintBox(panel, place(panel, 0.5, print.brandY + 0.03, 1, 0.26), palette.ink);
      drawBrand(panel, product, { y: print.brandY, colour: readable(palette.ink, palette), plate: null });
      drawMotif(panel, product, palette.accent);
      break;
    case 'badge': {
      const radius = Math.min(panel.height * 0.27, panel.width * visible(product) * 0.5);
      const y = 0.42 * panel.height;
      const ring: Colour = palette.accent;
      paintMotif(panel, { name: 'disc', x: panel.width / 2, y, size: radius * 1.3, colour: ring });
      paintMotif(panel, { name: 'disc', x: panel.width / 2, y, size: radius * 1.16, colour: palette.paper });
      drawBrand(panel, product, { y: 0.35, colour: palette.text, plate: null, wide: 0.78 });
      const size = radius * 0.4;
      paintMotif(panel, {
        name: print.motif.name,
        x: panel.width / 2,
        y: y + radius * 0.55,
        size,
        colour: palette.accent,
      });
      break;
    }
    case 'split':
      drawBrand(panel, product, { y: print.brandY, colour: palette.paper, plate: palette.text });
      drawMotif(panel, product, palette.base);
      break;
    case 'window':
      paintBox(panel, place(panel, 0.5, 0.5, visible(product), 0.62), palette.paper, panel.height * 0.04);
      drawBrand(panel, product, { y: 0.32, colour: palette.text, plate: null });
      drawMotif(panel, product, palette.accent, 0.62);
      break;
    case 'picture':
      drawBrand(panel, product, { y: print.brandY * 0.8, colour: palette.text, plate: palette.paper });
      drawMotif(panel, product, palette.ink);
      drawMotif(panel, product, palette.accent, print.motif.y + 0.16, 0.6);
      break;
  }
  drawSmallPrint(panel, product, 0.955, 0.03);
}

function drawFamilyFront(panel: Picture, product: ShelfProduct): void {
  const { print, palette } = product;
  if (print.letter !== null) {
    const box = place(panel, 0.5, 0.64, visible(product), 0.6);
    paint(panel, { field: letterField(print.letter, box, 0.34), colour: palette.ink, box });
  }
  if (print.layout === 'family' && print.letter === null) {
    const bare = print.motif.size > 0.2;
    drawMotif(panel, product, bare ? palette.accent : palette.paper);
  }
  drawBrand(panel, product, { y: print.brandY, colour: palette.text, plate: palette.paper });
}

function drawBrand(
  panel: Picture,
  product: ShelfProduct,
  style: { y: number; colour: Colour; plate: Colour | null; wide?: number },
): void {
  const wide = visible(product) * (style.wide ?? 1);
  const high = Math.min(0.17, (wide * panel.width * 0.36) / panel.height);
  if (style.plate !== null) {
    paintBox(
      panel,
      place(panel, 0.5, style.y + high * 0.2, wide, high * 1.6),
      style.plate,
      panel.height * 0.02,
    );
  }
  write(panel, {
    text: product.brand,
    box: place(panel, 0.5, style.y, wide * 0.9, high),
    colour: style.colour,
    pen: 0.55,
  });
  const variant = product.name.split(' ').at(-1) ?? '';
  const below = place(panel, 0.5, style.y + high * 0.72, wide * 0.6, high * 0.36);
  write(panel, { text: variant, box: below, colour: style.colour, pen: 0.45 });
}

function drawMotif(panel: Picture, product: ShelfProduct, colour: Colour, y?: number, scale = 1): void {
  const { motif } = product.print;
  const reach = visible(product);
  paintMotif(panel, {
    name: motif.name,
    x: panel.width * (0.5 + (motif.x - 0.5) * reach),
    y: panel.height * (y ?? motif.y),
    size: motif.size * scale * Math.min(panel.height, panel.width * 1.1),
    colour,
  });
}

const readable = (ground: Colour, palette: Palette) =>
  luminance(ground) > 130 ? palette.text : palette.paper;

/** A line of marks like small text. */
function drawSmallPrint(panel: Picture, product: ShelfProduct, y: number, high: number): void {
  const random = createRandom(product.key, 'small print', Math.round(y * 1000));
  const reach = visible(product) * 0.8;
  let x = 0.5 - reach / 2;
  while (x < 0.5 + reach / 2) {
    const word = random.between(0.02, 0.07);
    const box = place(panel, x + word / 2, y, word, high * 0.6);
    paintBox(panel, box, product.palette.text);
    x += word + 0.018;
  }
}

/** Back: a table of contents and a bar code, as on every pack. */
function drawInformation(panel: Picture, product: ShelfProduct): void {
  const { palette } = product;
  const reach = visible(product) * 0.92;
  paintBox(panel, place(panel, 0.5, 0.36, reach, 0.56), palette.paper, 4);
  for (let line = 0; line < 9; line++) drawSmallPrint(panel, product, 0.14 + line * 0.055, 0.03);
  paintBox(panel, place(panel, 0.5, 0.8, reach * 0.7, 0.22), [252, 252, 252], 2);
  const bars = Array.from(product.barcode).flatMap((digit) => [
    1 + (Number(digit) % 3),
    1 + ((Number(digit) * 7) % 4),
  ]);
  const unit = (reach * 0.6) / bars.reduce((sum, bar) => sum + bar, 0);
  let x = 0.5 - reach * 0.3;
  bars.forEach((bar, i) => {
    if (i % 2 === 0) paintBox(panel, place(panel, x + (bar * unit) / 2, 0.8, bar * unit, 0.17), [20, 20, 20]);
    x += bar * unit;
  });
}

function drawSide(panel: Picture, product: ShelfProduct): void {
  const { palette, print } = product;
  paintBox(panel, place(panel, 0.5, 0.62, 0.76, 0.5), mix(palette.paper, palette.base, 0.15), 3);
  for (let line = 0; line < 7; line++) drawSmallPrint(panel, product, 0.44 + line * 0.06, 0.03);
  write(panel, {
    text: product.brand,
    box: place(panel, 0.5, 0.2, 0.86, 0.1),
    colour: palette.paper,
    pen: 0.5,
  });
  const size = 0.3 * panel.width;
  paintMotif(panel, {
    name: print.motif.name,
    x: panel.width / 2,
    y: panel.height * 0.3,
    size,
    colour: palette.ink,
  });
}
