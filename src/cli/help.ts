import { COMMON_OPTIONS, type Command, type Option, type Positional } from './command.ts';
import type { Field } from './fields.ts';

const WIDTH = 100;
const INDENT = 2;
/** A name that is longer has its text on the next line. */
const NAME_CHARS = 30;

/** All commands. */
export function overview(commands: readonly Command[]): string {
  return [
    'gpu-handlers COMMAND [options]',
    '',
    table(commands.map((command) => ({ name: command.name, about: command.summary }))),
    '',
    'gpu-handlers help COMMAND tells its options; gpu-handlers --version the version. Settings are environment',
    'variables: .env.example has all of them, and gpu-handlers doctor says what is missing.',
  ].join('\n');
}

/** One command, with all that it takes. */
export async function commandHelp(command: Command): Promise<string> {
  const { summary, details, positionals, options, examples } = command;
  const fields = await command.fields();
  return [
    `gpu-handlers ${usageOf(command)}`,
    `\n${sentence(summary)}${details === undefined ? '' : `\n${wrap(details, WIDTH).join('\n')}`}`,
    section('', Object.entries(positionals).map(positionalLine)),
    section('Options', Object.entries({ ...options, ...COMMON_OPTIONS }).map(optionLine)),
    section('Fields of the request', fields.map(fieldLine)),
    examples.length === 0 ? '' : `\nExamples:\n${examples.map((e) => `  gpu-handlers ${e}`).join('\n')}`,
  ]
    .filter((part) => part !== '')
    .join('\n');
}

/** The same as data. */
export async function describe(command: Command): Promise<object> {
  const { name, summary, details, positionals, options, examples } = command;
  const fields = await command.fields();
  return {
    name,
    summary,
    details,
    usage: `gpu-handlers ${usageOf(command)}`,
    positionals,
    options: { ...options, ...COMMON_OPTIONS },
    fields: fields.map(({ path, ...field }) => ({ ...field, field: path.join('.') })),
    examples,
  };
}

/** `extract PURPOSE [options]`. */
export function usageOf({ name, positionals }: Command): string {
  const places = Object.entries(positionals).map(([key, { optional }]) => {
    const place = key.toUpperCase();
    return optional === true ? `[${place}]` : place;
  });
  return [name, ...places, '[options]'].join(' ');
}

interface Line {
  name: string;
  about: string;
}

const positionalLine = ([key, { about, values }]: [string, Positional]): Line => ({
  name: key.toUpperCase(),
  about: withValues(about, values),
});

export const optionLine = ([key, { kind, about, value, values }]: [string, Option]): Line => ({
  name: kind === 'flag' ? `--${key}` : `--${key} ${value ?? (kind === 'count' ? 'NUMBER' : 'VALUE')}`,
  about: withValues(kind === 'list' ? `${about} May be repeated.` : about, values),
});

const VALUES: Readonly<Record<Field['type'], string>> = {
  flag: '',
  text: ' TEXT',
  number: ' NUMBER',
  texts: ' TEXT',
  words: ' TEXT,...',
  numbers: ' NUMBER,...',
  map: ' COLUMN=VALUE',
  json: ' JSON',
};
const REPEATED: readonly Field['type'][] = ['texts', 'words', 'numbers', 'map'];

function fieldLine({ name, type, values, about, fallback }: Field): Line {
  const repeated = REPEATED.includes(type) ? ' May be repeated.' : '';
  const isSaid =
    fallback === undefined || (typeof fallback === 'object' && Object.keys(fallback ?? {}).length === 0);
  const usual = isSaid
    ? ''
    : ` Default: ${typeof fallback === 'string' ? fallback : JSON.stringify(fallback)}.`;
  return {
    name: `--${type === 'flag' ? '[no-]' : ''}${name}${VALUES[type]}`,
    about: `${withValues(about, values)}${usual}${repeated}`,
  };
}

function withValues(about: string, values: readonly string[] | undefined): string {
  return values === undefined || values.length === 0 ? about : `${about} One of ${values.join(', ')}.`;
}

const sentence = (text: string): string => `${text}.`;

function section(title: string, lines: readonly Line[]): string {
  if (lines.length === 0) return '';
  return `${title === '' ? '' : `\n${title}:`}\n${table(lines)}`;
}

function table(lines: readonly Line[]): string {
  const name = Math.min(NAME_CHARS, Math.max(...lines.map((line) => line.name.length)));
  const column = INDENT + name + 2;
  return lines
    .flatMap((line) => {
      const [first = '', ...more] = wrap(line.about, WIDTH - column);
      const head = ' '.repeat(INDENT) + line.name;
      const rest = more.map((text) => ' '.repeat(column) + text);
      return line.name.length > name
        ? [head, ' '.repeat(column) + first, ...rest]
        : [head.padEnd(column) + first, ...rest];
    })
    .join('\n');
}

function wrap(text: string, width: number): string[] {
  return text.split(' ').reduce<string[]>((lines, word) => {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length + 1 > width) return [...lines, word];
    return [...lines.slice(0, -1), `${last} ${word}`];
  }, []);
}
