/** What deploy.sh runs: docs/deploying.md. A first SIGINT or SIGTERM takes back what is under way, a second one ends it. */
import { StoppedError } from '../src/base/errors.ts';
import { main } from './deploy/main.ts';

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => stop.abort(new StoppedError('shutdown', `stopped by ${name}`)));
}

process.exitCode = await main({
  argv: process.argv.slice(2),
  env: process.env,
  folder: process.cwd(),
  out: (text) => void process.stdout.write(text),
  signal: stop.signal,
});
