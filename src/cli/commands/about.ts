import { defineCommand, type Command } from '../command.ts';
import { completionScript, SHELLS } from '../completion.ts';
import { commandHelp, describe, overview } from '../help.ts';
import { didYouMean } from '../similar.ts';
import { UsageError } from '../usage-error.ts';

/** The commands that tell of these, and of themselves. */
export function aboutCommands(others: readonly Command[]): readonly Command[] {
  const completion: Command = defineCommand({
    name: 'completion',
    summary: 'A script with which a shell completes commands, options and values',
    positionals: { shell: { about: 'Which.', values: SHELLS } },
    examples: [
      'completion bash >> ~/.bashrc',
      'completion zsh > "${fpath[1]}/_gpu-handlers"',
      'completion fish > ~/.config/fish/completions/gpu-handlers.fish',
    ],
    async run({ args: { shell }, io }) {
      const script = await completionScript(shell, commands);
      io.result({ shell, script }, script.trimEnd());
      return undefined;
    },
  });
  const help: Command = defineCommand({
    name: 'help',
    summary: 'What there is, or what one command takes',
    positionals: { command: { about: 'Which.', optional: true } },
    async run({ args: { command: name }, io }) {
      if (name === undefined) {
        const all = commands.map(({ name: one, summary }) => ({ name: one, summary }));
        io.result(all, overview(commands));
        return undefined;
      }
      const command = commands.find((one) => one.name === name);
      const known = commands.map((one) => one.name);
      if (command === undefined)
        throw new UsageError(`there is no command ${JSON.stringify(name)}${didYouMean(name, known)}`);
      io.result(await describe(command), await commandHelp(command));
      return undefined;
    },
  });
  const commands = [...others, completion, help];
  return commands;
}
