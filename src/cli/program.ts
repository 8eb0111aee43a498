import { InputError, messageOf, SettingsError, toHandlerError } from '../base/errors.ts';
import { stopOnSignals } from '../worker/signals.ts';
import type { AnyCall, Command } from './command.ts';
import { COMMANDS } from './commands.ts';
import { EXIT } from './exit-codes.ts';
import { commandHelp, describe, overview } from './help.ts';
import { readCall, readCommand, type Typed } from './parse.ts';
import { createTerminal, watchReader, type Terminal } from './terminal.ts';
import { UsageError } from './usage-error.ts';

const QUIET = { warn: () => undefined, error: () => undefined };

/** Runs what was typed. Whatever is wrong is told, in words and where JSON was asked for in JSON. @returns the exit code. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  // Before anything is understood, errors are told as they would be then.
  let io = createTerminal(argv.includes('--json'));
  const unread = watchReader();
  let command: Command | undefined;
  try {
    const typed = readCommand(argv, COMMANDS);
    io = createTerminal(typed.json);
    command = typed.command;
    return await run(typed, io, unread);
  } catch (error) {
    return tell(error, command, io);
  }
}

async function run(typed: Typed, io: Terminal, unread: AbortSignal): Promise<number> {
  const { command, help, version, settingsFile, rest } = typed;
  if (version) {
    const { version: text } = await (await import('./version.ts')).ownPackage();
    io.result({ version: text }, text);
    return EXIT.ok;
  }
  if (command === undefined) {
    if (!help) throw new UsageError(`which command?\n\n${overview(COMMANDS)}`);
    io.result(
      COMMANDS.map(({ name, summary }) => ({ name, summary })),
      overview(COMMANDS),
    );
    return EXIT.ok;
  }
  if (help) {
    io.result(await describe(command), await commandHelp(command));
    return EXIT.ok;
  }
  const call = await readCall(command, rest);
  if (settingsFile !== undefined) await loadSettings(settingsFile);
  return command.ownSignals
    ? ((await command.run({ ...call, io, signal: new AbortController().signal })) ?? EXIT.ok)
    : runUntilSignal(command, { ...call, io }, unread);
}

// The compiler leaves `import()` as it is written, `.ts` and all, in a function that has `using`: there is none in here.
async function runUntilSignal(
  command: Command,
  call: Omit<AnyCall, 'signal'>,
  unread: AbortSignal,
): Promise<number> {
  using stop = stopOnSignals(QUIET, { exit: (code) => process.exit(code) });
  try {
    return (await command.run({ ...call, signal: AbortSignal.any([stop.signal, unread]) })) ?? EXIT.ok;
  } catch (error) {
    if (stop.exitCode !== undefined) return stop.exitCode;
    if (unread.aborted) return EXIT.unread;
    throw error;
  }
}

async function loadSettings(file: string): Promise<void> {
  const { loadSettingsFile } = await import('../base/settings.ts');
  try {
    loadSettingsFile(file);
  } catch (error) {
    throw new UsageError(`--settings: ${file} cannot be read: ${messageOf(error)}`);
  }
}

/** What a service that is away, or does not take a key, is told as. */
const OF_SERVICES = /_(unreachable|timeout|unauthorized)$/;

function tell(thrown: unknown, command: Command | undefined, io: Terminal): number {
  const error = toHandlerError(thrown);
  const issues = error instanceof InputError ? error.issues : undefined;
  const isUsage = error instanceof UsageError || issues !== undefined;
  if (io.json)
    io.result(
      { error: { code: error.code, message: error.message, ...(issues !== undefined && { issues }) } },
      '',
    );
  const text = issues?.map(({ key, message }) => `${key}: ${message}`).join('\n') ?? error.message;
  io.note(text);
  if (error instanceof SettingsError)
    io.note(
      'Settings are environment variables, or lines of --settings FILE; gpu-handlers doctor looks at all',
    );
  else if (OF_SERVICES.test(error.code)) io.note('gpu-handlers doctor looks at every service');
  if (isUsage) io.note(`See gpu-handlers help${command === undefined ? '' : ` ${command.name}`}`);
  return isUsage ? EXIT.usage : EXIT.failed;
}
