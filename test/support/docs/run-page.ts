import { randomUUID } from 'node:crypto';

import { differs } from './expected.ts';
import type { Block } from './pages.ts';
import { startBash, type Place } from './processes.ts';

/** A status that says no is a failure, as it would be to whoever reads the answer. What npx would find is installed. */
const PRELUDE = `set -eo pipefail
npx() { "$@"; }
curl() { command curl --fail-with-body --silent --show-error "$@"; }
`;

/**
 * Runs blocks in one shell, one after the other, as someone would who pastes them.
 * @throws Error that names page and line of the first that fails, or prints something else than the page shows.
 */
export async function runBlocks(blocks: readonly Block[], place: Place): Promise<void> {
  const mark = `--- ${randomUUID()}`;
  const say = `printf '\\n%s\\n' '${mark}'`;
  const script = blocks.map((block) => `${say}; ${say} >&2\n${commandsOf(block)}\n`);
  const bash = startBash(PRELUDE + script.join(''), place);
  let stdout = '';
  bash.child.stdout?.on('data', (part: string) => (stdout += part));
  await bash.exited;
  const outputs = stdout.split(`\n${mark}\n`).slice(1);
  const failed = bash.child.exitCode !== 0;
  for (const [i, block] of blocks.entries()) {
    const output = outputs[i];
    if (output === undefined) return;
    const wrong =
      failed && i === outputs.length - 1
        ? `ended with exit code ${String(bash.child.exitCode)}`
        : block.expected && differs(output, block.expected);
    if (wrong === undefined) continue;
    const all = bash.said().split(`\n${mark}\n`).at(-1) ?? '';
    const shown = block.expected === undefined ? '' : `\nThe page shows:\n${block.expected.text}\n`;
    throw new Error(
      `${block.page}:${block.line}: ${wrong}\n\n${block.text}\n${shown}\nIt printed:\n${output}\nAt last:\n${all}`,
    );
  }
}

/** In a shell of its own where it must fail: that shell ends at the first error, this one does not. */
function commandsOf({ mark, text }: Block): string {
  if (mark.kind !== 'fails') return text;
  return `set +e\n( set -e\n${text}\n)\ncode=$?\nset -e\n[ "$code" != 0 ] || { echo "it did not fail" >&2; exit 1; }`;
}
