import type { Command } from './command.ts';
import { aboutCommands } from './commands/about.ts';
import { api } from './commands/api.ts';
import { cancel } from './commands/cancel.ts';
import { doctor } from './commands/doctor.ts';
import { extract } from './commands/extract.ts';
import { local } from './commands/local.ts';
import { reconcile } from './commands/reconcile.ts';
import { retryFailed } from './commands/retry-failed.ts';
import { search } from './commands/search.ts';
import { serve } from './commands/serve.ts';
import { status } from './commands/status.ts';
import { sweep } from './commands/sweep.ts';
import { train } from './commands/train.ts';

/** All commands, in the order in which they are told. */
export const COMMANDS: readonly Command[] = aboutCommands([
  extract,
  train,
  status,
  cancel,
  retryFailed,
  reconcile,
  sweep,
  search,
  serve,
  local,
  api,
  doctor,
]);
