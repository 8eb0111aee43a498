/** A word that differs by more than a third of its letters is another word. */
const MAX_SHARE = 1 / 3;
const SLIPS = 2;

/** Which of the known words was meant, where one is near. */
function similarTo(word: string, known: readonly string[]): string | undefined {
  const lower = word.toLowerCase();
  const near = known
    .map((candidate) => ({ candidate, distance: distanceOf(lower, candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(candidate.length * MAX_SHARE)))
    .toSorted((a, b) => a.distance - b.distance);
  return near[0]?.candidate ?? known.find((candidate) => lower.length > 2 && candidate.startsWith(lower));
}

/** `; did you mean X?`, or nothing. */
export function didYouMean(word: string, known: readonly string[], prefix = ''): string {
  const meant = similarTo(word, known);
  return meant === undefined ? '' : `; did you mean ${prefix}${meant}?`;
}

/** Is one the other with a slip of the finger or two? */
export function isSlipOf(word: string, known: string): boolean {
  return distanceOf(word, known) <= SLIPS;
}

/** Letters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
function distanceOf(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const at = (list: readonly number[], k: number): number => list[k] ?? Infinity;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(
          at(last, j) + 1,
          at(row, j - 1) + 1,
          at(last, j - 1) + same,
          swapped ? at(before, j - 2) + 1 : Infinity,
        ),
      );
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? Infinity;
}
