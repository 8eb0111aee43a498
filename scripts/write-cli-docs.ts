/** Writes the tables of docs/cli.md, between its marks: `node scripts/write-cli-docs.ts`. */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { format, resolveConfig } from 'prettier';

import { COMMANDS } from '../src/cli/commands.ts';
import { optionLine, usageOf } from '../src/cli/help.ts';

const FILE = fileURLToPath(new URL('../docs/cli.md', import.meta.url));
const [BEGIN, END] = ['<!-- commands -->', '<!-- /commands -->'] as const;

/** The page, with its tables as the declared commands have them. */
export async function cliDocs(): Promise<string> {
  const page = await readFile(FILE, 'utf8');
  const [before = '', rest = ''] = page.split(BEGIN);
  const [, after = ''] = rest.split(END);
  const whole = `${before}${BEGIN}\n\n${await tables()}\n\n${END}${after}`;
  return format(whole, { ...(await resolveConfig(FILE)), filepath: FILE });
}

async function tables(): Promise<string> {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const commands = COMMANDS.map((command) => `| \`${usageOf(command)}\` | ${cell(command.summary)} |`);
  const options = await Promise.all(
    COMMANDS.map(async (command) => {
      const hasFields = (await command.fields()).length > 0;
      const own = Object.entries(command.options).map(optionLine);
      const rows = own.map(({ name, about }, i) => {
        return `| ${i === 0 ? `\`${command.name}\`` : ''} | \`${cell(name)}\` | ${cell(about)} |`;
      });
      return hasFields ? [...rows, '| | `--FIELD VALUE` | Any field of its request. |'] : rows;
    }),
  );
  return [
    '| command | |',
    '| --- | --- |',
    ...commands,
    '',
    '| of | option | |',
    '| --- | --- | --- |',
    ...options.flat(),
  ].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(FILE, await cliDocs());
  process.stdout.write(`${FILE}\n`);
}
