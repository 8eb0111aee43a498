import { COMMON_OPTIONS, type Command } from './command.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** A word that may come, with what it means, and what may stand behind it. */
interface Word {
  word: string;
  about: string;
  /** Undefined: nothing; empty: any text, or a file. */
  values: readonly string[] | undefined;
}
interface Completed {
  command: Command;
  /** Of the first value without a name. */
  values: readonly string[];
  options: readonly Word[];
}

const PROGRAM = 'gpu-handlers';

/** A script for the shell that completes commands, options and their values. */
export async function completionScript(shell: Shell, commands: readonly Command[]): Promise<string> {
  const names = commands.map(({ name }) => name);
  const all = await Promise.all(
    commands.map(async (command): Promise<Completed> => {
      const [first] = Object.entries(command.positionals);
      const values = command.name === 'help' ? names : (first?.[1].values ?? []);
      return { command, values, options: await optionsOf(command) };
    }),
  );
  return SCRIPTS[shell](all);
}

async function optionsOf(command: Command): Promise<Word[]> {
  const fields = (await command.fields()).flatMap(({ name, type, values, about }): Word[] => {
    if (type !== 'flag') return [{ word: `--${name}`, about, values }];
    return [`--${name}`, `--no-${name}`].map((word) => ({ word, about, values: undefined }));
  });
  const options = Object.entries({ ...command.options, ...COMMON_OPTIONS }).map(([name, option]): Word => {
    const values = option.kind === 'flag' ? undefined : (option.values ?? []);
    return { word: `--${name}`, about: option.about, values };
  });
  return [...options, ...fields];
}

const SCRIPTS: Readonly<Record<Shell, (all: readonly Completed[]) => string>> = { bash, zsh, fish };

function bash(all: readonly Completed[]): string {
  const behind = all.flatMap(({ command, options }) =>
    options.flatMap(({ word, values }) => {
      if (values === undefined) return [];
      // Nothing of ours: bash goes on with files.
      const reply =
        values.length === 0 ? 'COMPREPLY=()' : `COMPREPLY=($(compgen -W '${values.join(' ')}' -- "$cur"))`;
      return [`    '${command.name} ${word}') ${reply}; return;;`];
    }),
  );
  const words = all.map(
    ({ command, values, options }) =>
      `    ${command.name}) words='${[...values, ...options.map(({ word }) => word)].join(' ')}';;`,
  );
  return `# ${PROGRAM}: eval "$(${PROGRAM} completion bash)"
_gpu_handlers() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" command='' words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in -*) ;; *) command="\${COMP_WORDS[i]}"; break;; esac
  done
  case "$command $prev" in
${behind.join('\n')}
  esac
  case "$command" in
    '') words='${[...all.map(({ command }) => command.name), '--help', '--version'].join(' ')}';;
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _gpu_handlers ${PROGRAM}
`;
}

function zsh(all: readonly Completed[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  const plain = (text: string): string => text.replace(/[[\]:\\]/g, '\\$&');
  const commands = all.map(({ command }) => quoted(`${plain(command.name)}:${plain(command.summary)}`));
  const cases = all.map(({ command, values, options }) => {
    const specs = options.map(({ word, about, values: of }) => {
      const value = of === undefined ? '' : of.length === 0 ? ':value:_files' : `:value:(${of.join(' ')})`;
      return `      ${quoted(`*${word}[${plain(about)}]${value}`)}`;
    });
    const first = values.length === 0 ? `'*:value:_files'` : quoted(`1:value:(${values.join(' ')})`);
    return `    ${command.name}) _arguments \\\n${[...specs, `      ${first}`].join(' \\\n')};;`;
  });
  return `#compdef ${PROGRAM}
# ${PROGRAM}: eval "$(${PROGRAM} completion zsh)"
_gpu_handlers() {
  local -a commands=(
    ${commands.join('\n    ')}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command="\${words[2]}"
  shift words
  ((CURRENT--))
  case "$command" in
${cases.join('\n')}
  esac
}
compdef _gpu_handlers ${PROGRAM}
`;
}

function fish(all: readonly Completed[]): string {
  const quoted = (text: string): string => `'${text.replace(/['\\]/g, '\\$&')}'`;
  const names = all.map(({ command }) => command.name).join(' ');
  const lines = all.flatMap(({ command, values, options }) => {
    const when = `complete -c ${PROGRAM} -n ${quoted(`__fish_seen_subcommand_from ${command.name}`)}`;
    const first = `complete -c ${PROGRAM} -n ${quoted(`not __fish_seen_subcommand_from ${names}`)}`;
    return [
      `${first} -f -a ${command.name} -d ${quoted(command.summary)}`,
      ...(values.length === 0 ? [] : [`${when} -f -a ${quoted(values.join(' '))}`]),
      ...options.map(({ word, about, values: of }) => {
        const value = of === undefined ? '' : of.length === 0 ? ' -r' : ` -x -a ${quoted(of.join(' '))}`;
        return `${when} -l ${word.slice('--'.length)}${value} -d ${quoted(about)}`;
      }),
    ];
  });
  return `# ${PROGRAM}: ${PROGRAM} completion fish | source\n${lines.join('\n')}\n`;
}
