import type { Colour } from './colour.ts';
import type { Random } from './random.ts';

export const SHAPES = ['box', 'can', 'bottle', 'bag', 'jar', 'tube'] as const;
export type ShapeName = (typeof SHAPES)[number];

/** A body's form. Lengths in units of its height. */
export interface Form {
  shape: ShapeName;
  /** Half width and half depth of the body at its widest. */
  halfWidth: number;
  halfDepth: number;
  /** Bottles: half width of the neck and where the shoulder ends; jars and tubes: height of the cap. */
  neck: number;
  shoulder: number;
  /** The label's upper and lower edge, 0 = top of the product. */
  labelTop: number;
  labelBottom: number;
  /** 0 matt to 1 glossy. */
  gloss: number;
  /** How the label lies: around the body, or as one front and one back. */
  wrap: 'around' | 'flat';
}

export function createForm(random: Random, shape: ShapeName): Form {
  const b = (low: number, high: number) => random.between(low, high);
  const whole = { labelTop: 0, labelBottom: 1, neck: 0, shoulder: 0 };
  switch (shape) {
    case 'box':
      return {
        shape,
        ...whole,
        halfWidth: b(0.24, 0.44),
        halfDepth: b(0.08, 0.16),
        gloss: 0.15,
        wrap: 'flat',
      };
    case 'can': {
      const r = b(0.24, 0.38);
      const rim = { labelTop: 0.045, labelBottom: 0.955 };
      return { shape, ...whole, ...rim, halfWidth: r, halfDepth: r, gloss: 0.7, wrap: 'around' };
    }
    case 'bottle': {
      const r = b(0.17, 0.23);
      const flat = random.chance(0.3) ? 0.7 : 1;
      const form = { halfWidth: r, halfDepth: r * flat, neck: r * b(0.35, 0.5), shoulder: b(0.32, 0.42) };
      return {
        shape,
        ...form,
        labelTop: form.shoulder + 0.04,
        labelBottom: b(0.88, 0.95),
        gloss: 0.8,
        wrap: 'around',
      };
    }
    case 'bag':
      return { shape, ...whole, halfWidth: b(0.3, 0.4), halfDepth: b(0.12, 0.17), gloss: 0.5, wrap: 'flat' };
    case 'jar': {
      const r = b(0.32, 0.42);
      const cap = b(0.14, 0.2);
      const form = { halfWidth: r, halfDepth: r, neck: cap, shoulder: cap + 0.08 };
      return { shape, ...form, labelTop: cap + 0.13, labelBottom: b(0.9, 0.95), gloss: 0.7, wrap: 'around' };
    }
    case 'tube':
      return {
        shape,
        halfWidth: b(0.19, 0.25),
        halfDepth: b(0.11, 0.14),
        neck: b(0.1, 0.16),
        shoulder: 0,
        labelTop: 0.05,
        labelBottom: 0.84,
        gloss: 0.4,
        wrap: 'flat',
      };
  }
}

const smooth = (t: number) => {
  const k = Math.min(1, Math.max(0, t));
  return k * k * (3 - 2 * k);
};

/** Half width and half depth at height y (0 top to 1 bottom); zero where there is nothing. */
export function sectionAt(form: Form, y: number): { a: number; b: number } {
  const { halfWidth: w, halfDepth: d } = form;
  if (y < 0 || y > 1) return { a: 0, b: 0 };
  switch (form.shape) {
    case 'box':
      return { a: w, b: d };
    case 'can': {
      const k = 0.93 + 0.07 * Math.min(smooth(y / 0.04), smooth((1 - y) / 0.03));
      return { a: w * k, b: d * k };
    }
    case 'bottle': {
      const capped = y < 0.1 ? form.neck * 1.18 : form.neck;
      const k = smooth((y - 0.15) / (form.shoulder - 0.15));
      const foot = 0.94 + 0.06 * smooth((1 - y) / 0.04);
      return { a: (capped + (w - capped) * k) * foot, b: (capped + (d - capped) * k) * foot };
    }
    case 'bag': {
      const belly = Math.sqrt(Math.max(0, Math.sin(Math.PI * Math.min(1, Math.max(0, (y - 0.03) / 0.95)))));
      return { a: w * (1 - 0.06 * belly), b: 0.012 + d * belly };
    }
    case 'jar': {
      if (y < form.neck) return { a: w * 0.93, b: d * 0.93 };
      const k = 0.88 + 0.12 * smooth((y - form.neck) / 0.1);
      const foot = 0.93 + 0.07 * smooth((1 - y) / 0.06);
      return { a: w * k * foot, b: d * k * foot };
    }
    case 'tube': {
      if (y > 0.87) return { a: w * 0.72, b: w * 0.72 };
      const t = y / 0.87;
      return { a: w * (1 - 0.14 * t), b: 0.012 + (w * 0.86 - 0.012) * smooth(t) };
    }
  }
}

/** What lies at height y beside the label. */
export type Part = 'label' | 'cap' | 'hull' | 'metal' | 'seal';

export function partAt(form: Form, y: number): Part {
  if (form.shape === 'bottle' && y < 0.1) return 'cap';
  if (form.shape === 'jar' && y < form.neck) return 'cap';
  if (form.shape === 'tube' && y > 0.87) return 'cap';
  if (form.shape === 'bag' && (y < 0.045 || y > 0.965)) return 'seal';
  if (y >= form.labelTop && y <= form.labelBottom) return 'label';
  return form.shape === 'can' ? 'metal' : form.shape === 'tube' ? 'seal' : 'hull';
}

export const METAL: Colour = [196, 198, 202];
