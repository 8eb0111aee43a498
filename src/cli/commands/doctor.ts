import { defineCommand } from '../command.ts';
import type { Finding } from '../doctor/finding.ts';
import { EXIT } from '../exit-codes.ts';

const MARKS = { ok: '✓', warning: '!', failed: '✗', skipped: '-' } as const;
const COLOURS = { ok: 'green', warning: 'yellow', failed: 'red', skipped: 'dim' } as const;

export const doctor = defineCommand({
  name: 'doctor',
  summary: 'Look at every setting, service and part, and say what to do',
  details:
    'Supabase and its tables, Qdrant, the endpoints at RunPod, the active model and the hub, Node, sharp and ONNX Runtime. Nothing is written anywhere. Exit code 1 where something fails; with --json a line for each finding.',
  async run({ io, signal }) {
    const { examine } = await import('../doctor/examine.ts');
    const counts = { ok: 0, warning: 0, failed: 0, skipped: 0 };
    for await (const finding of examine(signal)) {
      counts[finding.status] += 1;
      io.result(
        finding,
        textOf(finding, (text) => io.paint(COLOURS[finding.status], text)),
      );
    }
    if (!io.json) io.result(counts, `\n${counts.failed} failed, ${counts.warning} warnings`);
    return counts.failed === 0 ? EXIT.ok : EXIT.failed;
  },
});

function textOf({ check, status, detail, advice }: Finding, paint: (text: string) => string): string {
  const line = `${paint(MARKS[status])} ${check}: ${detail}`;
  return advice === undefined ? line : `${line}\n    ${advice}`;
}
