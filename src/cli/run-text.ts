import type { RunDetails, RunView } from '../api/runs/run-view.ts';
import { timeText } from './progress-bar.ts';

const SHORT_ID_CHARS = 8;

export const shortId = (id: string): string => id.slice(0, SHORT_ID_CHARS);

/** Runs as lines, a column for each thing that is told. */
export function runTable(runs: readonly RunView[]): string {
  if (runs.length === 0) return 'There are no such runs.';
  const rows = [
    ['ID', 'STATUS', 'PROGRESS', 'WHAT', 'CREATED'],
    ...runs.map((run) => [run.id, run.status, progressText(run), whatText(run), whenText(run.created_at)]),
  ];
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** One run, a line for each thing that is known. */
export function runText(run: RunDetails): string {
  const took = seconds(run.started_at, run.completed_at);
  const lines = {
    run: run.id,
    what: whatText(run),
    status: run.status,
    reason: run.error_message,
    progress: progressText(run),
    collections: run.collections.join(', '),
    created: whenText(run.created_at),
    took: took === undefined ? null : timeText(took),
    'RunPod job': run.runpod_job_id,
    shards: shardsText(run),
  };
  const told = Object.entries(lines).filter(([, value]) => value !== null && value !== '');
  const results = resultLines(run.result).map((line) => `  ${line}`);
  return [...told.map(([name, value]) => `${`${name}:`.padEnd(13)}${value ?? ''}`), ...results].join('\n');
}

/** Of a divided run: how many of its jobs are in which state. */
function shardsText({ shards }: RunDetails): string {
  const byState = Map.groupBy(shards, ({ status }) => status);
  return [...byState].map(([status, some]) => `${some.length} ${status}`).join(', ');
}

/** How a run that was followed has ended. */
export function endText(run: RunDetails): string {
  const took = seconds(run.started_at, run.completed_at);
  const time = took === undefined ? '' : ` in ${timeText(took)}`;
  const reason = run.error_message === null ? '' : `: ${run.error_message}`;
  const head = `Run ${run.id} is ${run.status}${time}, ${progressText(run)}${reason}`;
  return [head, ...resultLines(run.result).map((line) => `  ${line}`)].join('\n');
}

/** What of a worker's output is told in a line: plain values. */
function resultLines(result: RunDetails['result']): string[] {
  return Object.entries(result ?? {}).flatMap(([key, value]) => {
    if (key === 'status' || key === 'runpod_status' || key === 'job_id') return [];
    return ['string', 'number', 'boolean'].includes(typeof value) ? [`${key}: ${String(value)}`] : [];
  });
}

function whatText({ kind, purpose, name, collections }: RunView): string {
  if (kind === 'classification') return `training ${name ?? ''}`.trim();
  return [purpose ?? 'extraction', ...collections].join(' ');
}

function progressText({ progress: { done, total, unit } }: RunView): string {
  return total === 0 ? '-' : `${done}/${total} ${unit}`;
}

function whenText(time: string): string {
  const at = new Date(time);
  return Number.isNaN(at.getTime()) ? time : at.toISOString().slice(0, 16).replace('T', ' ');
}

function seconds(from: string | null, to: string | null): number | undefined {
  if (from === null || to === null) return undefined;
  const took = (Date.parse(to) - Date.parse(from)) / 1_000;
  return Number.isFinite(took) && took >= 0 ? took : undefined;
}
