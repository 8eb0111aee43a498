import { parseArgs } from 'node:util';

import { HandlerError, messageOf } from '../../src/base/errors.ts';
import { HANDLERS, type HandlerName } from '../images/checks.ts';

export const USAGE = `Usage: deploy.sh [--dry-run] [--rollback TAG] [--env-file FILE] embedding|cls|all

Builds the image of the commit, pushes it, brings RunPod's template and endpoint to it, sends a smoke job, and takes
everything back where that fails. docs/deploying.md has the settings.

  --dry-run         say what would be run and sent, and do neither
  --rollback TAG    deploy an image that was pushed before; its tag is a commit's first 12 characters
  --env-file FILE   where settings are read from (default: .env)
`;

/** The command line is not as USAGE has it. */
export class UsageError extends HandlerError {
  override readonly name = 'UsageError';
  constructor(message: string) {
    super('usage', `${message}\n\n${USAGE}`);
  }
}

export interface Asked {
  handlers: readonly HandlerName[];
  dryRun: boolean;
  rollback: string | undefined;
  envFile: string | undefined;
}

/** @returns undefined where help is asked for. @throws UsageError */
export function readArguments(argv: readonly string[]): Asked | undefined {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        'dry-run': { type: 'boolean', default: false },
        rollback: { type: 'string' },
        'env-file': { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
  const { values, positionals } = parsed;
  if (values.help) return undefined;
  const [what] = positionals;
  const handlers = what === 'all' ? HANDLERS : HANDLERS.filter((name) => name === what);
  if (positionals.length !== 1 || handlers.length === 0)
    throw new UsageError('say what to deploy: embedding, cls or all');
  const { rollback } = values;
  if (rollback !== undefined && !/^\w[\w.-]{0,127}$/.test(rollback))
    throw new UsageError('--rollback takes the tag of an image');
  return { handlers, dryRun: values['dry-run'], rollback, envFile: values['env-file'] };
}
