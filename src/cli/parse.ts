import { parseArgs } from 'node:util';

import { COMMON_OPTIONS, type AnyCall, type Command, type Option } from './command.ts';
import { valueOf, type Field } from './fields.ts';
import { didYouMean } from './similar.ts';
import { UsageError } from './usage-error.ts';

/** What was typed, as far as it goes for every command. */
export interface Typed {
  /** Undefined: none was named. */
  command: Command | undefined;
  json: boolean;
  help: boolean;
  version: boolean;
  settingsFile: string | undefined;
  /** Everything but the command's name. */
  rest: readonly string[];
}

/** Finds the command. @throws UsageError where there is none of that name. */
export function readCommand(argv: readonly string[], commands: readonly Command[]): Typed {
  const { tokens, values } = parseArgs({
    args: [...argv],
    options: {
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean' },
      settings: { type: 'string' },
    },
    strict: false,
    tokens: true,
  });
  const first = tokens.find((token) => token.kind === 'positional');
  const name = first?.value;
  const command = commands.find((one) => one.name === name);
  const known = commands.map((one) => one.name);
  if (name !== undefined && command === undefined)
    throw new UsageError(`there is no command ${JSON.stringify(name)}${didYouMean(name, known)}`);
  return {
    command,
    json: values.json === true,
    help: values.help === true,
    version: values.version === true && command === undefined,
    settingsFile: typeof values.settings === 'string' ? values.settings : undefined,
    rest: argv.filter((_, i) => i !== first?.index),
  };
}

type Read = Pick<AnyCall, 'args' | 'options' | 'body' | 'fields'>;

/** An option, whether the command or a request has it. */
type Known = { option: Option; field?: undefined } | { option?: undefined; field: Field };

/**
 * What was typed behind the command, checked against what it declares. Names may have underscores for dashes.
 * @throws UsageError that names the option.
 */
export async function readCall(command: Command, rest: readonly string[]): Promise<Read> {
  const fields = await command.fields();
  const known = new Map<string, Known>([
    ...fields.map((field): [string, Known] => [field.name, { field }]),
    ...Object.entries({ ...COMMON_OPTIONS, ...command.options }).map(([name, option]): [string, Known] => [
      name,
      { option },
    ]),
  ]);
  const given = new Map<string, string[]>();
  const positionals: string[] = [];
  for (const token of tokensOf(rest, known)) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const [name, text] = optionOf(token, known);
    given.set(name, [...(given.get(name) ?? []), text]);
  }
  const body = fields.reduce((all, field) => {
    const texts = given.get(field.name);
    return texts === undefined ? all : put(all, field.path, valueOf(field, texts));
  }, {});
  return {
    args: argsOf(command, positionals),
    options: Object.fromEntries(
      Object.entries(command.options).map(([name, option]) => [name, read(name, option, given.get(name))]),
    ),
    body,
    fields,
  };
}

type Tokens = NonNullable<ReturnType<typeof parseArgs>['tokens']>;
type OptionToken = Extract<Tokens[number], { kind: 'option' }>;

const normalised = (name: string): string => name.replaceAll('_', '-');
const isFlag = ({ option, field }: Known): boolean => (option?.kind ?? field?.type) === 'flag';

function tokensOf(rest: readonly string[], known: ReadonlyMap<string, Known>): Tokens {
  const names = new Map([...known.keys()].map((name) => [normalised(name), name]));
  const end = rest.indexOf('--');
  const args = rest.map((arg, i) => {
    const name = (end < 0 || i < end) && /^--(no-)?([\w.-]+)/.exec(arg);
    if (!name) return arg;
    const [whole, no = '', written = ''] = name;
    const declared = names.get(normalised(written));
    return declared === undefined ? arg : `--${no}${declared}${arg.slice(whole.length)}`;
  });
  const options = Object.fromEntries(
    [...known].map(([name, one]) => [
      name,
      isFlag(one)
        ? ({ type: 'boolean', ...(name === 'help' && { short: 'h' }) } as const)
        : ({ type: 'string', multiple: true } as const),
    ]),
  );
  return parseArgs({ args, options, strict: false, tokens: true }).tokens;
}

function optionOf(
  { name: written, rawName, value, inlineValue }: OptionToken,
  known: ReadonlyMap<string, Known>,
): [string, string] {
  const isNo = !known.has(written) && written.startsWith('no-');
  const name = isNo ? written.slice('no-'.length) : written;
  const one = known.get(name);
  if (one === undefined) {
    throw new UsageError(`there is no option ${rawName}${didYouMean(written, [...known.keys()], '--')}`);
  }
  if (isFlag(one)) {
    if (value === undefined) return [name, String(!isNo)];
    if (!isNo && (value === 'true' || value === 'false')) return [name, value];
    throw new UsageError(`${rawName} takes no value; write --${name} or --no-${name}`);
  }
  if (isNo) throw new UsageError(`--${name} takes a value: there is no ${rawName}`);
  // What looks like the next option is one, unless it was tied to this one.
  const isMissing = value === undefined || (!inlineValue && /^-(?!\d|\.\d|$)/.test(value));
  if (isMissing) throw new UsageError(`${rawName} takes a value; one with a dash: ${rawName}=-x`);
  return [name, value];
}

function read(name: string, { kind, values }: Option, texts: readonly string[] | undefined): unknown {
  if (kind === 'list') return texts ?? [];
  const text = texts?.at(-1);
  if (text === undefined) return undefined;
  if (kind === 'flag') return text === 'true';
  if (kind === 'count') {
    if (/^\d{1,15}$/.test(text)) return Number(text);
    throw new UsageError(`--${name}: expected a whole number, found ${JSON.stringify(text)}`);
  }
  return oneOf(`--${name}`, text, values);
}

function argsOf(
  { name, positionals }: Command,
  given: readonly string[],
): Record<string, string | undefined> {
  const declared = Object.entries(positionals);
  if (given.length > declared.length) {
    const extra = given[declared.length] ?? '';
    throw new UsageError(
      `${name} takes ${placesOf(declared.length)}, found ${JSON.stringify(extra)} as well`,
    );
  }
  return Object.fromEntries(
    declared.map(([key, { optional, values }], i) => {
      const text = given[i];
      if (text === undefined && optional !== true)
        throw new UsageError(`${name} needs ${key.toUpperCase()}${values ? `: ${values.join(', ')}` : ''}`);
      return [key, text === undefined ? undefined : oneOf(key.toUpperCase(), text, values)];
    }),
  );
}

function placesOf(count: number): string {
  return count === 0 ? 'nothing but options' : count === 1 ? 'one value' : `${count} values`;
}

function oneOf(what: string, text: string, values: readonly string[] | undefined): string {
  if (values === undefined || values.includes(text)) return text;
  const hint = didYouMean(text, values);
  throw new UsageError(`${what}: expected one of ${values.join(', ')}, found ${JSON.stringify(text)}${hint}`);
}

/** A copy of the object with the value at that place. */
export function put(
  object: Record<string, unknown>,
  [key = '', ...below]: readonly string[],
  value: unknown,
): Record<string, unknown> {
  if (below.length === 0) return { ...object, [key]: value };
  const inner = Object.hasOwn(object, key) ? object[key] : undefined;
  const isObject = inner !== null && typeof inner === 'object' && !Array.isArray(inner);
  return { ...object, [key]: put(isObject ? { ...inner } : {}, below, value) };
}
