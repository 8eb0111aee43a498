import type { Picture } from './canvas.ts';
import type { ShelfProduct } from './catalogue.ts';
import type { Colour } from './colour.ts';
import type { Panels } from './label.ts';
import { floor, hypot, max, min, round, sin, sqrt } from './maths.ts';
import { createPlan, createProfile, DISTANCE, stepOf, type Hit, type Plan, type Profile } from './plan.ts';
import { METAL, type Form } from './shapes.ts';

/** A product without its surroundings: red, green, blue (not multiplied) and cover, 0..255, rows first. */
export interface Sprite {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

/** How high the camera's eye is: 0 top to 1 bottom of the product. */
const EYE = 0.42;
/** Towards the light: up, left, and to the camera; length 1. */
const LIGHT = [-0.45, -0.42, 0.788] as const;

/** Rays a pixel, spread over columns and, by this list, over rows. */
const SAMPLE_ROWS = [0.25, 0.75];
const SAMPLES = SAMPLE_ROWS.length;

/** Half the width that a product takes at any turn, in product heights. */
function halfReach(form: Form): number {
  const flat = form.shape === 'box' ? hypot(form.halfWidth, form.halfDepth) : form.halfWidth;
  return flat * 1.05;
}

/**
 * Turns a product around its axis (radians, positive to the left) and looks at it from the front. A ray a pixel column
 * meets the section in plan view (ellipse or rectangle), which gives depth, face and place on the print.
 */
export function renderProduct(
  product: ShelfProduct,
  panels: Panels,
  view: { height: number; turn: number },
): Sprite {
  const { form } = product;
  const unit = view.height / 1.06; // the front of the body is nearer and looks taller
  const width = max(8, round(2 * halfReach(form) * unit));
  const data = new Uint8ClampedArray(width * view.height * 4);
  const profile = createProfile(form);
  const shadeOf = createSurface(product, panels, profile);
  const plan = createPlan(form, view.turn);
  const sum = new Float64Array(4);
  for (let py = 0; py < view.height; py++) {
    for (let px = 0; px < width; px++) {
      sum.fill(0);
      for (let k = 0; k < SAMPLES; k++) {
        const x = (px + (k + 0.5) / SAMPLES - width / 2) / unit;
        const y = (py + (SAMPLE_ROWS[k] ?? 0)) / unit - 0.03;
        shadeOf(plan, x, y, sum);
      }
      const cover = sum[3] ?? 0;
      if (cover === 0) continue;
      const at = (py * width + px) * 4;
      for (let c = 0; c < 3; c++) data[at + c] = (sum[c] ?? 0) / cover;
      data[at + 3] = (cover * 255) / SAMPLES;
    }
  }
  return { width, height: view.height, data };
}

/** Adds the colour seen at (x, y) to `sum`, with 1 in its fourth place; nothing where the product is not. */
function createSurface(product: ShelfProduct, panels: Panels, profile: Profile) {
  const { form, palette } = product;
  const hit: Hit = { z: 0, nx: 0, nz: 1, face: 'front', u: 0.5 };
  const labelHeight = form.labelBottom - form.labelTop;
  const texel: [number, number, number] = [0, 0, 0];
  return (plan: Plan, x: number, y: number, sum: Float64Array): void => {
    // Height on the body depends on depth, and depth on height: two rounds settle it.
    const near = plan.depth(x, y < 0 ? 0 : y > 1 ? 1 : y);
    let body = EYE + ((y - EYE) * (DISTANCE - near)) / DISTANCE;
    if (!(body >= 0 && body <= 1) || !plan.meet(x, body, hit)) return;
    body = EYE + ((y - EYE) * (DISTANCE - hit.z)) / DISTANCE;
    if (body < 0 || body > 1) return;
    const step = stepOf(body);
    const part = profile.parts[step];
    let gloss = form.gloss;
    let colour: Colour = palette.hull;
    let relief = 1;
    if (part === 'label') {
      sample(panels[hit.face], hit.u, (body - form.labelTop) / labelHeight, texel);
      colour = texel;
    } else if (part === 'metal') {
      colour = METAL;
      gloss = 1;
    } else if (part === 'seal') {
      colour = palette.base;
      relief = 0.9 + 0.1 * sin(body * 700);
    } else if (part === 'cap') {
      relief = 0.94 + 0.06 * sin(hit.u * 150);
    }
    const tilt = profile.tilt[step] ?? 0;
    const scale = 1 / sqrt(1 + tilt * tilt);
    const ny = tilt * scale;
    const lambert = max(0, (hit.nx * LIGHT[0] + hit.nz * LIGHT[2]) * scale + ny * LIGHT[1]);
    const diffuse = relief * (0.5 + 0.62 * lambert) * (0.8 + 0.2 * max(0, hit.nz));
    let shine = max(0, (hit.nx * -0.24 + hit.nz * 0.945) * scale + ny * -0.222);
    shine *= shine;
    shine *= shine;
    shine *= shine;
    shine *= shine;
    const highlight = 120 * gloss * shine * shine * shine;
    sum[0] = (sum[0] ?? 0) + colour[0] * diffuse + highlight;
    sum[1] = (sum[1] ?? 0) + colour[1] * diffuse + highlight;
    sum[2] = (sum[2] ?? 0) + colour[2] * diffuse + highlight;
    sum[3] = (sum[3] ?? 0) + 1;
  };
}

/** Nearest pixel: the renderer already takes several samples a pixel of a label of about the same size. */
function sample(picture: Picture, u: number, v: number, out: [number, number, number]): void {
  const x = min(picture.width - 1, max(0, floor(u * picture.width)));
  const y = min(picture.height - 1, max(0, floor(v * picture.height)));
  const at = (y * picture.width + x) * 3;
  out[0] = picture.data[at] ?? 0;
  out[1] = picture.data[at + 1] ?? 0;
  out[2] = picture.data[at + 2] ?? 0;
}
