import { v5 as uuidV5 } from 'uuid';

import { createPalette, luminance, type Palette } from './colour.ts';
import { MOTIFS, sizeForArea, type MotifName } from './motifs.ts';
import { CATEGORIES, createBrands, ean13, VARIANTS } from './names.ts';
import { PATTERNS, type Pattern, type PatternName } from './patterns.ts';
import { createRandom, type Random } from './random.ts';
import { createForm, SHAPES, type Form, type ShapeName } from './shapes.ts';

const PRODUCT_COUNT = 60;
const FAMILY_COUNT = 5;
const FAMILY_SIZE = 5;
export const FRAME_COUNT = 12;
/** Namespace of every id of a sample shelf: uuid v5 of `gpu-handlers/shelf` in the DNS namespace. */
export const SHELF_NAMESPACE = uuidV5('gpu-handlers/shelf', '6ba7b810-9dad-11d1-80b4-00c04fd430c8');

type Layout = 'family' | 'band' | 'badge' | 'split' | 'window' | 'picture';
const LAYOUTS: readonly Layout[] = ['band', 'badge', 'split', 'window', 'picture'];

/** How a product is printed: everything a label is drawn from. Places are shares of the panel. */
interface Print {
  layout: Layout;
  pattern: Pattern;
  /** Share of the panel that the pattern inks. */
  cover: number;
  /** A huge letter in place of the pattern. */
  letter: string | null;
  motif: { name: MotifName; x: number; y: number; size: number };
  /** Middle of the brand plate. */
  brandY: number;
}

export interface ShelfProduct {
  id: string;
  /** Place in the list, from 0. */
  index: number;
  barcode: string;
  brand: string;
  name: string;
  category: string;
  /** Families share form and palette and differ in print; null for a product on its own. */
  family: number | null;
  form: Form;
  palette: Palette;
  print: Print;
  /** What a random number about this product is keyed by. */
  key: string;
}

/** What sets the members of a family apart. */
type Difference = 'pattern' | 'motif' | 'letter' | 'direction';
const DIFFERENCES: readonly Difference[] = ['pattern', 'pattern', 'motif', 'letter', 'direction'];
const DIRECTIONS: readonly PatternName[] = ['bars', 'columns', 'diagonals', 'chevrons', 'rings'];
const LETTERS = Array.from('AEHKMRSTXZO');
const FAMILY_COVER = 0.36;
/** Of the motifs that set a family's members apart: all alike, so that the mean colour is. In squared panel heights. */
const MOTIF_AREA = 0.12;
const MOTIF_PLACES = [
  [0.27, 0.72],
  [0.73, 0.72],
  [0.5, 0.56],
  [0.3, 0.5],
  [0.7, 0.88],
] as const;

function createPattern(random: Random, name: PatternName): Pattern {
  return { name, period: random.between(0.13, 0.24), phase: random.next() };
}

function familyPrints(random: Random, difference: Difference): Print[] {
  const patterns = random.shuffle(difference === 'direction' ? DIRECTIONS : PATTERNS);
  const motifs = random.shuffle(MOTIFS);
  const letters = random.shuffle(LETTERS);
  const places = random.shuffle(MOTIF_PLACES);
  const common = createPattern(random, random.pick(['bars', 'diagonals', 'dots', 'waves', 'checks']));
  const brandY = random.between(0.14, 0.24);
  return Array.from({ length: FAMILY_SIZE }, (_, i) => {
    const own = difference === 'pattern' || difference === 'direction';
    const [x, y] = places[difference === 'motif' ? i : 0] ?? [0.5, 0.7];
    const motif = motifs[difference === 'motif' ? i : 0] ?? 'disc';
    return {
      layout: 'family',
      pattern: own ? { ...common, name: patterns[i] ?? 'dots' } : common,
      cover: difference === 'motif' ? 0.2 : FAMILY_COVER,
      letter: difference === 'letter' ? (letters[i] ?? 'A') : null,
      motif: { name: motif, x, y, size: difference === 'motif' ? sizeForArea(motif, MOTIF_AREA) : 0.15 },
      brandY,
    };
  });
}

function singlePrint(random: Random, n: number): Print {
  return {
    layout: LAYOUTS[n % LAYOUTS.length] ?? 'band',
    pattern: createPattern(random, random.pick(PATTERNS)),
    cover: random.between(0.3, 0.5),
    letter: null,
    motif: {
      name: random.pick(MOTIFS),
      x: random.between(0.35, 0.65),
      y: random.between(0.6, 0.78),
      size: random.between(0.17, 0.26),
    },
    brandY: random.between(0.16, 0.34),
  };
}

/** A family's members must be told apart by print: its ink has to stand off its base. */
function contrasting(random: Random, n: number): Palette {
  let palette = createPalette(random, n);
  while (Math.abs(luminance(palette.base) - luminance(palette.ink)) < 60) palette = createPalette(random, n);
  return palette;
}

/** All products of a seed, families first. Pure data; drawing is `drawPanel` and `renderProduct`. */
export function createCatalogue(seed: number): ShelfProduct[] {
  const random = createRandom(seed, 'catalogue');
  const brands = createBrands(random, PRODUCT_COUNT);
  const shapes = random.shuffle(SHAPES);
  const hueShift = random.integer(0, 40);
  const products: ShelfProduct[] = [];

  const add = (
    group: { family: number | null; brand: string; form: Form; palette: Palette },
    print: Print,
    variant: string,
  ) => {
    const index = products.length;
    const [category, noun] = pickCategory(group.form.shape, group.family ?? index);
    products.push({
      id: uuidV5(`${String(seed)}/product/${String(index)}`, SHELF_NAMESPACE),
      index,
      barcode: ean13(`20${String(seed % 10_000_000).padStart(7, '0')}${String(index).padStart(3, '0')}`),
      brand: group.brand,
      name: `${group.brand} ${noun} ${variant}`,
      category,
      family: group.family,
      form: group.form,
      palette: group.palette,
      print,
      key: `${String(seed)}/product/${String(index)}`,
    });
  };

  for (let f = 0; f < FAMILY_COUNT; f++) {
    const own = createRandom(seed, 'family', f);
    const group = {
      family: f,
      brand: brands[f] ?? 'Alona',
      form: createForm(own, shapes[f] ?? 'box'),
      palette: contrasting(own, f + hueShift),
    };
    const variants = own.shuffle(VARIANTS);
    const prints = familyPrints(own, DIFFERENCES[f % DIFFERENCES.length] ?? 'pattern');
    prints.forEach((print, i) => {
      add(group, print, variants[i] ?? 'Classic');
    });
  }
  for (let i = products.length; i < PRODUCT_COUNT; i++) {
    const own = createRandom(seed, 'single', i);
    const shape: ShapeName = shapes[i % shapes.length] ?? 'box';
    const group = {
      family: null,
      brand: brands[i - FAMILY_COUNT * FAMILY_SIZE + FAMILY_COUNT] ?? 'Alona',
      form: createForm(own, shape),
      palette: contrasting(own, i + hueShift),
    };
    add(group, singlePrint(own, Math.floor(i / shapes.length) + i), own.pick(VARIANTS));
  }
  return products;
}

function pickCategory(shape: ShapeName, n: number): readonly [string, string] {
  const list = CATEGORIES[shape];
  return list[n % list.length] ?? ['Pantry', 'Mix'];
}
