import type { Block } from './pages.ts';

const ANY = '...';

/**
 * Why an output is not what the page shows, or undefined. `...` stands for anything: within a line, as lines of their
 * own, as a value of JSON and as the rest of a list. JSON may have more keys than are shown, and numbers more decimals.
 */
export function differs(
  output: string,
  { language, text }: NonNullable<Block['expected']>,
): string | undefined {
  if (language === 'json') {
    const path = differsAt(JSON.parse(output), JSON.parse(text), '$');
    return path && `not as shown at ${path}`;
  }
  const pattern = trimmed(text)
    .map((line) => (line.trim() === ANY ? '(?:.*\\n)*?' : `${line.split(ANY).map(literal).join('.*')}\\n`))
    .join('');
  const found = trimmed(output).map((line) => `${line}\n`);
  return new RegExp(`^${pattern}$`).test(found.join('')) ? undefined : 'not as shown';
}

function trimmed(text: string): string[] {
  return text
    .trim()
    .split('\n')
    .map((line) => line.trimEnd());
}

function differsAt(found: unknown, expected: unknown, path: string): string | undefined {
  if (typeof expected === 'string' && expected.includes(ANY)) {
    const pattern = new RegExp(`^${expected.split(ANY).map(literal).join('.*')}$`, 's');
    return expected === ANY || (typeof found === 'string' && pattern.test(found)) ? undefined : path;
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(found)) return path;
    const isOpen = expected.at(-1) === ANY;
    const shown: unknown[] = isOpen ? expected.slice(0, -1) : expected;
    if (isOpen ? found.length < shown.length : found.length !== shown.length) return `${path}.length`;
    return firstOf(shown.map((value, i) => differsAt(found[i], value, `${path}[${i}]`)));
  }
  if (isRecord(expected)) {
    if (!isRecord(found)) return path;
    return firstOf(
      Object.entries(expected).map(([key, value]) => differsAt(found[key], value, `${path}.${key}`)),
    );
  }
  return found === expected || isRounded(found, expected) ? undefined : path;
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}

/** Is the one the other, to as many decimals as it has? */
function isRounded(found: unknown, shown: unknown): boolean {
  if (typeof found !== 'number' || typeof shown !== 'number') return false;
  const decimals = /\.(\d+)$/.exec(String(shown))?.[1]?.length;
  return decimals !== undefined && found.toFixed(decimals) === shown.toFixed(decimals);
}

function firstOf(paths: readonly (string | undefined)[]): string | undefined {
  return paths.find((path) => path !== undefined);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
