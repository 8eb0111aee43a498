/**
 * Random numbers in [0, 1) that are the same on every machine, for these whole numbers: a seed, then what tells one
 * use from another (a step, an epoch). Nothing has to be carried along to continue a run: the numbers name the stream.
 * The generator is sfc32 (Doty-Humphrey, PractRand), 32 bits a number.
 */
export function randomStream(seed: number, ...labels: readonly number[]): () => number {
  let mixed = 0;
  for (const word of [seed, ...labels]) mixed = mix(mixed ^ mix(word));
  let [a, b, c, counter] = [mixed, mix(mixed + 1), mix(mixed + 2), 1];
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < WARM_UP; i++) next();
  return next;
}

/** Numbers that a fresh state needs until it looks random. */
const WARM_UP = 12;

/** A 32-bit number whose every bit depends on every bit of the word (the finaliser of MurmurHash3). */
function mix(word: number): number {
  let h = (word + 0x9e3779b9) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** A standard normal number from two even ones (Box and Muller, 1958). */
export function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
