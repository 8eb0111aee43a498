import { expect, test } from '@jest/globals';

import { defineCommand, type AnyCall } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { commandHelp, overview } from '../../src/cli/help.ts';
import { readCall, readCommand } from '../../src/cli/parse.ts';

const COMMAND = defineCommand({
  name: 'draw',
  summary: 'Draw',
  positionals: {
    shape: { about: 'Which.', values: ['circle', 'square'] },
    name: { about: 'Its.', optional: true },
  },
  options: {
    fill: { kind: 'flag', about: 'Full.' },
    side: { kind: 'count', about: 'Long.' },
    colour: { kind: 'text', about: 'In which.', values: ['red', 'green'] },
    tag: { kind: 'list', about: 'For finding it.' },
    under_score: { kind: 'text', about: 'As it is.' },
  },
  run: () => Promise.resolve(undefined),
});

type Read = Pick<AnyCall, 'args' | 'options'>;
const read = (...rest: string[]): Promise<Read> => readCall(COMMAND, rest);

test('values, flags, lists and places are read, wherever they stand', async () => {
  const { args, options } = await read(
    ...['--tag', 'a', 'circle', '--side=3', '--no-fill', '--tag=b', '--under-score', 'x', '--colour', 'red'],
  );
  expect(args).toEqual({ shape: 'circle', name: undefined });
  expect(options).toEqual({ fill: false, side: 3, colour: 'red', tag: ['a', 'b'], under_score: 'x' });
  expect((await read('circle', '--', '--fill')).args).toEqual({ shape: 'circle', name: '--fill' });
  expect((await read('circle', '--under_score=--fill', '--tag=-x')).options).toMatchObject({
    under_score: '--fill',
    tag: ['-x'],
    fill: undefined,
  });
});

test.each([
  [['circle', '--fil'], 'there is no option --fil; did you mean --fill?'],
  [['circle', '--zzz'], 'there is no option --zzz'],
  [['circle', '-f'], 'there is no option -f'],
  [['circle', '--side', '--fill'], '--side takes a value'],
  [['circle', '--side'], '--side takes a value'],
  [['circle', '--side=many'], '--side: expected a whole number, found "many"'],
  [['circle', '--side', '-3'], '--side: expected a whole number, found "-3"'],
  [['circle', '--fill=maybe'], '--fill takes no value; write --fill or --no-fill'],
  [['circle', '--no-side'], '--side takes a value: there is no --no-side'],
  [['circle', '--colour=gren'], '--colour: expected one of red, green, found "gren"; did you mean green?'],
  [['cirle'], 'SHAPE: expected one of circle, square, found "cirle"; did you mean circle?'],
  [[], 'draw needs SHAPE: circle, square'],
  [['circle', 'one', 'two'], 'draw takes 2 values, found "two" as well'],
])('%j is refused, and why', async (rest, message) => {
  await expect(read(...rest)).rejects.toThrow(message);
  await expect(read(...rest)).rejects.toMatchObject({ code: 'wrong_usage' });
});

test('the command is found behind options of all commands', () => {
  expect(readCommand(['--json', '--settings', 'draw.env', 'status', '--limit', '3'], COMMANDS)).toMatchObject(
    {
      command: { name: 'status' },
      json: true,
      settingsFile: 'draw.env',
      rest: ['--json', '--settings', 'draw.env', '--limit', '3'],
    },
  );
  expect(() => readCommand(['stauts'], COMMANDS)).toThrow(
    'there is no command "stauts"; did you mean status?',
  );
  expect(() => readCommand(['frobnicate'], COMMANDS)).toThrow(/"frobnicate"$/);
  expect(readCommand(['--version'], COMMANDS)).toMatchObject({ version: true, command: undefined });
});

test('each command tells all that it takes, within a terminal', async () => {
  for (const command of COMMANDS) {
    const help = await commandHelp(command);
    const names = [...Object.keys(command.options), ...(await command.fields()).map(({ name }) => name)];
    for (const name of names)
      expect(help).toMatch(new RegExp(`--(\\[no-\\])?${name.replaceAll('.', '\\.')}\\b`));
    const long = help.split('\n').filter((line) => line.length > 100 && !line.startsWith('  gpu-handlers'));
    expect(long).toEqual([]);
    expect(overview(COMMANDS)).toContain(`  ${command.name} `);
  }
});

test('the examples of each command are ones that it takes', async () => {
  for (const command of COMMANDS) {
    for (const example of command.examples) {
      const words = (example.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", ''));
      const [plain] = [
        words.slice(
          0,
          words.some((w) => w.startsWith('>')) ? words.findIndex((w) => w.startsWith('>')) : undefined,
        ),
      ];
      const { command: named, rest } = readCommand(plain, COMMANDS);
      expect(named).toBe(command);
      await readCall(command, rest);
    }
  }
});
