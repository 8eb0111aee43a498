import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..', '..');

/** How a block of commands is to be treated; GitHub shows none of these words, which stand behind ```sh. */
export type Mark =
  | { kind: 'run' }
  /** Must end with an exit code that is not 0. */
  | { kind: 'fails' }
  /** Stays up: runs beside all pages. */
  | { kind: 'serves' }
  /** Not run: nothing here has it. */
  | { kind: 'needs'; what: string }
  /** Run by this file instead, which takes its time for it. */
  | { kind: 'elsewhere'; file: string };

export interface Block {
  page: string;
  /** Of its first command, from 1. */
  line: number;
  mark: Mark;
  text: string;
  /** What the page shows right below it. */
  expected: { language: 'text' | 'json'; text: string } | undefined;
}

export interface Page {
  name: string;
  text: string;
  blocks: Block[];
}

interface Fence {
  info: string;
  line: number;
  text: string;
  /** Line behind the fence. */
  end: number;
}

/** README.md, then what it is best read with, then all the others by name. */
export function readPages(first: readonly string[]): Page[] {
  const all = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`)
    .sort();
  const names = [...new Set(['README.md', ...first.map((name) => `docs/${name}`), ...all])];
  return names.map((name) => {
    const text = readFileSync(join(ROOT, name), 'utf8');
    return { name, text, blocks: blocksOf(name, text) };
  });
}

/** What a line begins with that belongs into a block of sh. */
const COMMAND = /^(?:\$ |npm |npx |node |curl |docker |git |export |gpu-handlers |\.\/)/m;

/** @throws Error for a block of commands in another language than sh, or with a mark that is unknown. */
export function blocksOf(page: string, text: string): Block[] {
  const lines = text.split('\n');
  const fences = fencesOf(lines);
  const outputs = new Set<Fence>();
  return fences.flatMap((fence, i): Block[] => {
    const [language = '', ...marks] = fence.info.split(' ');
    const misplaced = new Error(
      `${page}:${fence.line}: commands stand in blocks of sh, where a test runs them`,
    );
    if (/^(bash|shell|console|zsh)$/.test(language)) throw misplaced;
    if (language !== 'sh') {
      if (/^(text)?$/.test(language) && !outputs.has(fence) && COMMAND.test(fence.text)) throw misplaced;
      return [];
    }
    const output = outputOf(fences[i + 1], lines, fence.end);
    if (output !== undefined) outputs.add(output);
    return [
      {
        page,
        line: fence.line,
        mark: markOf(marks, `${page}:${fence.line}`),
        text: fence.text,
        expected: output && { language: output.info === 'json' ? 'json' : 'text', text: output.text },
      },
    ];
  });
}

function fencesOf(lines: readonly string[]): Fence[] {
  const fences: Fence[] = [];
  for (let at = 0; at < lines.length; at++) {
    const [, indent, info] = /^(\s*)```(.*)$/.exec(lines[at] ?? '') ?? [];
    if (info === undefined) continue;
    if (indent !== '') throw new Error(`line ${at + 1}: a block in a list is not found by tests`);
    const close = lines.indexOf('```', at + 1);
    if (close === -1) throw new Error(`line ${at + 1}: the block does not end`);
    fences.push({ info, line: at + 2, text: lines.slice(at + 1, close).join('\n'), end: close + 1 });
    at = close;
  }
  return fences;
}

/** The block below, where nothing stands between. */
function outputOf(next: Fence | undefined, lines: readonly string[], end: number): Fence | undefined {
  if (next === undefined || (next.info !== 'text' && next.info !== 'json')) return undefined;
  const between = lines.slice(end, next.line - 2);
  return between.every((line) => line.trim() === '') ? next : undefined;
}

function markOf(marks: readonly string[], where: string): Mark {
  const [mark = 'run', ...more] = marks;
  const [kind, value = ''] = mark.split('=');
  if (more.length === 0) {
    if (mark === 'run' || mark === 'fails' || mark === 'serves') return { kind: mark };
    if (kind === 'needs' && (value === 'docker' || value === 'live')) return { kind, what: value };
    if (kind === 'elsewhere' && value !== '') return { kind, file: value };
  }
  const known = 'serves, fails, needs=docker, needs=live, elsewhere=FILE';
  throw new Error(`${where}: expected no mark or one of ${known}, found ${marks.join(' ')}`);
}
