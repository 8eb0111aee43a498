import type { Random } from './random.ts';
import type { ShapeName } from './shapes.ts';

const HEADS = [
  'Al',
  'Bel',
  'Cor',
  'Dom',
  'Fen',
  'Lu',
  'Mir',
  'Nor',
  'Ol',
  'Pan',
  'Ri',
  'So',
  'Tav',
  'Ul',
  'Vi',
  'Zel',
];
const TAILS = [
  'ona',
  'vita',
  'ero',
  'iko',
  'anta',
  'elle',
  'umo',
  'iva',
  'ado',
  'ery',
  'ola',
  'ix',
  'ente',
  'aro',
];

/** `count` different invented brand names. */
export function createBrands(random: Random, count: number): string[] {
  const all = HEADS.flatMap((head) => TAILS.map((tail) => head + tail)).filter((name) => name.length <= 7);
  return random.shuffle(all).slice(0, count);
}

export const CATEGORIES: Readonly<Record<ShapeName, readonly (readonly [category: string, noun: string])[]>> =
  {
    box: [
      ['Breakfast', 'Cereal'],
      ['Tea', 'Tea Bags'],
      ['Biscuits', 'Crackers'],
      ['Household', 'Washing Powder'],
    ],
    can: [
      ['Drinks', 'Soda'],
      ['Canned food', 'Beans'],
      ['Canned food', 'Tomatoes'],
      ['Drinks', 'Tonic'],
    ],
    bottle: [
      ['Drinks', 'Juice'],
      ['Care', 'Shampoo'],
      ['Pantry', 'Syrup'],
      ['Household', 'Cleaner'],
    ],
    bag: [
      ['Snacks', 'Crisps'],
      ['Coffee', 'Coffee'],
      ['Pantry', 'Rice'],
      ['Snacks', 'Nuts'],
    ],
    jar: [
      ['Spreads', 'Jam'],
      ['Pantry', 'Pickles'],
      ['Spreads', 'Honey'],
      ['Pantry', 'Pesto'],
    ],
    tube: [
      ['Care', 'Toothpaste'],
      ['Care', 'Hand Cream'],
      ['Pantry', 'Mustard'],
    ],
  };

export const VARIANTS = [
  'Classic',
  'Lemon',
  'Berry',
  'Mild',
  'Extra',
  'Honey',
  'Mint',
  'Apple',
  'Spicy',
  'Light',
  'Herbs',
  'Peach',
  'Royal',
  'Fresh',
  'Vanilla',
] as const;

/** A valid EAN-13 from twelve digits: the thirteenth makes the weighted sum a multiple of ten. */
export function ean13(twelve: string): string {
  const sum = Array.from(twelve).reduce(
    (total, digit, i) => total + Number(digit) * (i % 2 === 0 ? 1 : 3),
    0,
  );
  return twelve + String((10 - (sum % 10)) % 10);
}
