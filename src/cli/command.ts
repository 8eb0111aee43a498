import type { Field } from './fields.ts';
import type { Terminal } from './terminal.ts';

/** What stands behind a command without a name, in this order. */
export interface Positional {
  about: string;
  /** The only values that it takes. */
  values?: readonly string[];
  optional?: boolean;
}

/** `flag`: there or not; `text`; `count`: a whole number from 0; `list`: text, any number of times. */
export interface Option {
  kind: 'flag' | 'text' | 'count' | 'list';
  about: string;
  /** What a help text calls the value: `FILE`. */
  value?: string;
  values?: readonly string[];
}

type Positionals = Readonly<Record<string, Positional>>;
type Options = Readonly<Record<string, Option>>;

type TextOf<T> = T extends { values: readonly (infer V)[] } ? V : string;
type OptionValue<O extends Option> = O['kind'] extends 'flag'
  ? boolean | undefined
  : O['kind'] extends 'count'
    ? number | undefined
    : O['kind'] extends 'list'
      ? readonly string[]
      : TextOf<O> | undefined;

/** What a command is called with beside its own. */
interface Around {
  /** What its fields make, as the request has it. */
  body: Record<string, unknown>;
  fields: readonly Field[];
  io: Terminal;
  /** Aborts at SIGINT and SIGTERM. */
  signal: AbortSignal;
}

/** What a command was called with: checked against what it declares. */
interface Call<P extends Positionals, O extends Options> extends Around {
  args: { [K in keyof P]: TextOf<P[K]> | (P[K] extends { optional: true } ? undefined : never) };
  options: { [K in keyof O]: OptionValue<O[K]> };
}

/** The same of any command. */
export interface AnyCall extends Around {
  args: Record<string, string | undefined>;
  options: Record<string, unknown>;
}

interface CommandOptions<P extends Positionals, O extends Options> {
  name: string;
  /** One line. */
  summary: string;
  details?: string;
  positionals?: P;
  options?: O;
  /** Options that are made of what a request may say. Read when they are needed: schemas cost a start. */
  fields?: () => Promise<readonly Field[]>;
  /** Behind `gpu-handlers`. */
  examples?: readonly string[];
  /** Listens to signals itself. */
  ownSignals?: boolean;
  /** @returns the exit code; 0 by default. */
  run: (call: Call<P, O>) => Promise<number | undefined>;
}

/** One declared command: parsing, help, completion and docs/cli.md are made of it. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly details: string | undefined;
  readonly positionals: Positionals;
  readonly options: Options;
  readonly fields: () => Promise<readonly Field[]>;
  readonly examples: readonly string[];
  readonly ownSignals: boolean;
  run(call: AnyCall): Promise<number | undefined>;
}

export function defineCommand<const P extends Positionals = {}, const O extends Options = {}>(
  options: CommandOptions<P, O>,
): Command {
  const { run, details, positionals, fields, examples = [], ownSignals = false, ...about } = options;
  return {
    ...about,
    details,
    positionals: positionals ?? {},
    options: options.options ?? {},
    fields: fields ?? (() => Promise.resolve([])),
    examples,
    ownSignals,
    // The parser has filled in what this command declares.
    run: (call) => run(call as Call<P, O>),
  };
}

/** Options that every command takes. (`--env-file` is Node's own, wherever it stands.) */
export const COMMON_OPTIONS: Options = {
  json: { kind: 'flag', about: 'JSON on standard output, and nothing else there.' },
  settings: { kind: 'text', value: 'FILE', about: 'Settings beside those of the environment, which win.' },
  help: { kind: 'flag', about: 'What the command does, and its options. Also -h.' },
};
