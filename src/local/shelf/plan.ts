import { PI, abs, asin, max, min, sign, sqrt } from './maths.ts';
import { partAt, sectionAt, type Form, type Part } from './shapes.ts';

/** How far away the camera stands, in product heights. */
export const DISTANCE = 4;

/** Where a ray meets a product. Lengths in product heights. */
export interface Hit {
  /** Towards the camera, from the axis. */
  z: number;
  /** Horizontal normal. */
  nx: number;
  nz: number;
  face: 'front' | 'back' | 'side';
  /** Across the face, 0..1 from left to right as printed. */
  u: number;
}

/** A product seen from above at each height, turned; rays come in at x, counted from the axis. */
export interface Plan {
  /** How far towards the camera the ray ends, or NaN where it passes by. Costs little. */
  depth(x: number, y: number): number;
  /** Fills in the hit; false where the ray passes by. */
  meet(x: number, y: number, hit: Hit): boolean;
}

/** Heights are looked up in tables: what is asked per ray must not be worked out per ray. */
const STEPS = 1023;
export const stepOf = (y: number): number => (y * STEPS + 0.5) | 0;
const HEIGHTS = Array.from({ length: STEPS + 1 }, (_, i) => i / STEPS);
const table = (of: (y: number) => number) => Float64Array.from(HEIGHTS, of);

/** Tilt of the surface and part at each step of height. */
export interface Profile {
  tilt: Float64Array;
  parts: readonly Part[];
}

export function createProfile(form: Form): Profile {
  // A narrowing towards the top looks up, one towards the bottom looks down.
  const tilt = (y: number) => {
    const above = sectionAt(form, max(0, y - 0.01)).b;
    const below = sectionAt(form, min(1, y + 0.01)).b;
    return form.shape === 'box' ? 0 : -max(-1.5, min(1.5, (below - above) / 0.02));
  };
  return { tilt: table(tilt), parts: HEIGHTS.map((y) => partAt(form, y)) };
}

export function createPlan(form: Form, turn: number): Plan {
  return form.shape === 'box' ? boxPlan(form, turn) : ellipsePlan(form, turn);
}

/** Arc sines over -1..1, in shares of a half turn. */
const ARC_STEPS = 4096;
const ARCS = Float64Array.from({ length: ARC_STEPS + 1 }, (_, i) => asin((2 * i) / ARC_STEPS - 1) / PI);

function ellipsePlan(form: Form, turn: number): Plan {
  const [sin, cos] = [Math.sin(turn), Math.cos(turn)];
  // Points of the ray are (x, z); turned back into the body's own frame: (x cos + z sin, z cos - x sin). Put into
  // (lx / a)² + (lz / b)² = 1 that is qa z² + 2 x qb z + x² qc = 1.
  const sections = HEIGHTS.map((y) => sectionAt(form, y));
  const ia = Float64Array.from(sections, ({ a }) => 1 / (a * a));
  const ib = Float64Array.from(sections, ({ b }) => 1 / (b * b));
  const over = (of: (a: number, b: number) => number) => ia.map((a, i) => of(a, ib[i] ?? 1));
  const qa = over((a, b) => sin * sin * a + cos * cos * b);
  const qb = over((a, b) => cos * sin * (a - b));
  const qc = over((a, b) => cos * cos * a + sin * sin * b);
  const perA = ia.map((a) => sqrt(a));
  const around = form.wrap === 'around';

  const depth = (x: number, y: number): number => {
    const step = stepOf(y);
    const q = qa[step] ?? 1;
    const p = x * (qb[step] ?? 0);
    return (sqrt(p * p - q * (x * x * (qc[step] ?? 0) - 1)) - p) / q;
  };
  const meet = (x: number, y: number, hit: Hit): boolean => {
    const z = depth(x, y);
    if (!(z > -1)) return false;
    const step = stepOf(y);
    const lx = x * cos + z * sin;
    const lz = z * cos - x * sin;
    const gx = lx * (ia[step] ?? 1);
    const gz = lz * (ib[step] ?? 1);
    const length = sqrt(gx * gx + gz * gz);
    hit.z = z;
    hit.nx = (gx * cos - gz * sin) / length;
    hit.nz = (gx * sin + gz * cos) / length;
    hit.face = lz >= 0 ? 'front' : 'back';
    const across = min(1, max(-1, lx * (perA[step] ?? 1)));
    const u = around ? 0.5 + (ARCS[((across + 1) * (ARC_STEPS / 2) + 0.5) | 0] ?? 0) : (across + 1) / 2;
    hit.u = lz >= 0 ? u : 1 - u;
    return true;
  };
  return { depth, meet };
}

function boxPlan(form: Form, turn: number): Plan {
  const { halfWidth: w, halfDepth: d } = form;
  const [sin, cos] = [Math.sin(turn), Math.cos(turn)];
  // The ray runs from the camera at (0, DISTANCE) through (x, 0); here in the box's own frame.
  const ox = DISTANCE * sin;
  const oz = DISTANCE * cos;
  const columns = new Map<number, Hit | null>();

  const lookUp = (x: number): Hit | null => {
    const dx = x * cos - ox;
    const dz = -oz - x * sin;
    const tx = dx === 0 ? -Infinity : (-sign(dx) * w - ox) / dx;
    const tz = dz === 0 ? -Infinity : (-sign(dz) * d - oz) / dz;
    const t = max(tx, tz);
    const lx = ox + t * dx;
    const lz = oz + t * dz;
    if (abs(lx) > w + 1e-6 || abs(lz) > d + 1e-6) return null;
    const z = DISTANCE * (1 - t);
    if (tz >= tx) {
      const side = -sign(dz);
      const face = side > 0 ? 'front' : 'back';
      return { z, face, u: 0.5 + (side * lx) / (2 * w), nx: -sin * side, nz: cos * side };
    }
    const side = -sign(dx);
    return { z, face: 'side', u: 0.5 - (side * lz) / (2 * d), nx: cos * side, nz: sin * side };
  };
  // All rays of a column of pixels meet the box alike.
  const column = (x: number): Hit | null => {
    let found = columns.get(x);
    if (found === undefined) columns.set(x, (found = lookUp(x)));
    return found;
  };
  return {
    depth: (x) => column(x)?.z ?? NaN,
    meet: (x, _y, hit) => {
      const found = column(x);
      if (found === null) return false;
      hit.z = found.z;
      hit.nx = found.nx;
      hit.nz = found.nz;
      hit.face = found.face;
      hit.u = found.u;
      return true;
    },
  };
}
