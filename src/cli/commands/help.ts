import { defineCommand, type Command } from '../command.ts';
import { commandHelp, describe, overview } from '../help.ts';
import { didYouMean } from '../similar.ts';
import { UsageError } from '../usage-error.ts';

/** The command that tells of these, and of itself. */
export function helpOn(others: readonly Command[]): Command {
  const help: Command = defineCommand({
    name: 'help',
    summary: 'What there is, or what one command takes',
    positionals: { command: { about: 'Which.', optional: true } },
    async run({ args: { command: name }, io }) {
      const commands = [...others, help];
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
  return help;
}
