import { createPicture, paint, paintBox, type Box, type Picture } from './canvas.ts';
import { hsl } from './colour.ts';
import { place } from './frame.ts';
import { write } from './glyphs.ts';
import { hypot, min, round } from './maths.ts';
import type { Random } from './random.ts';
import type { Sprite } from './render-product.ts';

export interface Scene {
  picture: Picture;
  /** Where the product is. */
  body: Box;
}

/**
 * A piece of shelf around one product: the dark back, a neighbour on each side, the rail with price tags below, and,
 * at times, something in front of it. `left` and `right` are the neighbours as they stand there.
 */
export function drawScene(things: { product: Sprite; left: Sprite; right: Sprite }, random: Random): Scene {
  const { product, left, right } = things;
  const bounds = boundsOf(product);
  const tall = product.height;
  const wide = bounds.right - bounds.left;
  const margin = round(tall * 0.22);
  const width = wide + 2 * margin;
  const floor = margin + bounds.bottom;
  const picture = createPicture(width, floor + margin, [60, 60, 62]);
  drawBack(picture, floor, random);

  const gap = (share: number) => round(tall * share);
  const stand = (sprite: Sprite, x: number) => {
    const box = boundsOf(sprite);
    place(picture, sprite, x - box.left, floor - box.bottom);
  };
  const leftBox = boundsOf(left);
  const leftEdge = margin - gap(random.between(0.01, 0.06)) - (leftBox.right - leftBox.left);
  const rightEdge = margin + wide + gap(random.between(0.01, 0.06));
  // On a full shelf there are neighbours on both sides; now and then one is sold out.
  if (random.chance(0.9)) stand(left, leftEdge);
  if (random.chance(0.9)) stand(right, rightEdge);
  stand(product, margin);
  drawRail(picture, floor, random);

  const body = {
    left: margin,
    top: floor - (bounds.bottom - bounds.top),
    right: margin + wide,
    bottom: floor,
  };
  drawObstacle(picture, body, { left, right, floor }, random);
  return { picture, body };
}

/** The box around everything that is not empty. */
function boundsOf(sprite: Sprite): Box {
  const { width, height, data } = sprite;
  const box = { left: width, top: height, right: 0, bottom: 0 };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if ((data[(y * width + x) * 4 + 3] ?? 0) < 128) continue;
      if (x < box.left) box.left = x;
      if (x >= box.right) box.right = x + 1;
      if (y < box.top) box.top = y;
      if (y >= box.bottom) box.bottom = y + 1;
    }
  }
  return box;
}

function drawBack(picture: Picture, floor: number, random: Random): void {
  const light = random.between(0.1, 0.42);
  const hue = random.next();
  paintBox(picture, { left: 0, top: 0, right: picture.width, bottom: floor }, hsl(hue, 0.06, light));
  // The shelf above throws its shadow on the upper part.
  const shade = floor * random.between(0.1, 0.35);
  paint(picture, {
    field: (_x, y) => shade - y,
    colour: hsl(hue, 0.06, light * 0.5),
    box: { left: 0, top: 0, right: picture.width, bottom: shade + 2 },
    opacity: 0.8,
  });
}

function drawRail(picture: Picture, floor: number, random: Random): void {
  const { width, height } = picture;
  paintBox(
    picture,
    { left: 0, top: floor, right: width, bottom: height },
    hsl(0.6, 0.04, random.between(0.6, 0.88)),
  );
  paintBox(picture, { left: 0, top: floor, right: width, bottom: floor + 2 }, [90, 90, 92]);
  drawTag(
    picture,
    { x: width * random.between(0.3, 0.7), y: floor + height * 0.015, size: height * 0.14 },
    random,
  );
}

function drawTag(picture: Picture, tag: { x: number; y: number; size: number }, random: Random): void {
  const { x, y, size } = tag;
  const box = { left: x - size, top: y, right: x + size, bottom: y + size };
  paintBox(
    picture,
    box,
    random.pick([
      [250, 250, 248],
      [252, 226, 70],
      [250, 250, 248],
      [236, 90, 70],
    ] as const),
    2,
  );
  const price = String(random.integer(1, 9)) + String(random.integer(10, 99));
  write(picture, {
    text: price,
    box: { left: x - size * 0.1, top: y + size * 0.2, right: x + size * 0.9, bottom: y + size * 0.85 },
    colour: [24, 24, 26],
    pen: 0.6,
  });
  for (let line = 0; line < 3; line++) {
    const top = y + size * (0.22 + line * 0.22);
    const right = x - size * random.between(0.2, 0.45);
    paintBox(picture, { left: x - size * 0.88, top, right, bottom: top + size * 0.1 }, [70, 70, 72]);
  }
}

/** In 45 of 100 pictures something stands before the product. */
function drawObstacle(
  picture: Picture,
  body: Box,
  around: { left: Sprite; right: Sprite; floor: number },
  random: Random,
): void {
  const wide = body.right - body.left;
  const tall = body.bottom - body.top;
  const kind = random.next();
  const strength = random.next();
  if (kind < 0.2) {
    const fromLeft = random.chance(0.5);
    const sprite = fromLeft ? around.left : around.right;
    const box = boundsOf(sprite);
    const reach = wide * (0.05 + 0.11 * strength);
    const edge = fromLeft ? body.left + reach - (box.right - box.left) : body.right - reach;
    place(picture, sprite, round(edge) - box.left, round(around.floor + tall * 0.02) - box.bottom);
  } else if (kind < 0.32) {
    const size = tall * (0.08 + 0.07 * strength);
    drawTag(picture, { x: body.left + wide * random.next(), y: body.bottom - size * 0.8, size }, random);
  } else if (kind < 0.4) {
    const x = random.chance(0.5) ? body.left + wide * 0.06 : body.right - wide * 0.06;
    const y = body.top + tall * random.between(0.05, 0.9);
    const radius = min(wide, tall) * (0.1 + 0.08 * strength);
    paint(picture, {
      field: (px, py) => radius - hypot(px - x, py - y),
      colour: hsl(random.next(), 0.85, 0.5),
    });
  } else if (kind < 0.45) {
    const x = body.left + wide * random.between(0.1, 0.9);
    const pin = {
      left: x,
      top: body.top - tall,
      right: x + tall * (0.012 + 0.015 * strength),
      bottom: body.bottom,
    };
    paintBox(picture, pin, [188, 190, 192]);
  }
}
