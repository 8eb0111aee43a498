import { listFailures, type Failure } from '../api/runs/failures.ts';
import type { Terminal } from './terminal.ts';
import type { Workplace } from './workplace.ts';

const PAGE = 200;

/** All failed images of a run; with JSON, a line for each. @throws HandlerError `run_not_found`. */
export async function tellFailures(options: {
  id: string;
  place: Workplace;
  io: Terminal;
  signal: AbortSignal;
}): Promise<void> {
  const { id, place, io, signal } = options;
  const isWhole = (await place.reader.read(id, signal)).shard_count !== null;
  let after: number | undefined;
  for (;;) {
    const page: Failure[] = await listFailures(place.database, {
      jobId: id,
      isWhole,
      limit: PAGE,
      after,
      signal,
    });
    for (const failure of page) io.result(failure, textOf(failure));
    if (after === undefined && page.length === 0) io.note('No image of this run failed.');
    after = page.at(-1)?.id;
    if (after === undefined || page.length < PAGE) return;
  }
}

function textOf({ code, image_id, url, message }: Failure): string {
  return `${code}  ${image_id}  ${url}${message === null ? '' : `  ${message}`}`;
}
