import { parseArgs } from 'node:util';

export interface CommandLine {
  /** One machine-readable line on standard output. */
  json: boolean;
  /** Where pictures, data and reports are kept. */
  folder: string;
}

const DEFAULT_FOLDER = '.local';

/** The options of the demos. Prints the usage and ends the process where they are wrong. */
export function readCommandLine(usage: string): CommandLine {
  const options = {
    json: { type: 'boolean', default: false },
    folder: { type: 'string', default: DEFAULT_FOLDER },
    help: { type: 'boolean', short: 'h', default: false },
  } as const;
  try {
    const { values } = parseArgs({ options });
    if (!values.help) return values;
    process.stdout.write(usageOf(usage));
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usageOf(usage)}`);
    process.exit(2);
  }
}

function usageOf(usage: string): string {
  return `${usage}

  --json            one line of JSON at the end
  --folder FOLDER   where everything is kept (default: ${DEFAULT_FOLDER})
`;
}
