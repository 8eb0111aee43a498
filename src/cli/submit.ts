import type { Endpoint } from '../api/runpod/endpoint.ts';
import { cancelRun } from '../api/runs/cancel.ts';
import type { RunKindName } from '../api/runs/run-kinds.ts';
import type { SubmittedRun } from '../api/runs/submit.ts';
import { EXIT } from './exit-codes.ts';
import { followRun } from './follow.ts';
import { endpointHere, type EndpointHere } from './here.ts';
import type { Terminal } from './terminal.ts';
import { openWorkplace, requireEndpoint, type Workplace } from './workplace.ts';

interface SubmitOptions {
  kind: RunKindName;
  options: { follow: boolean | undefined; here: boolean | undefined; 'dry-run': boolean | undefined };
  io: Terminal;
  signal: AbortSignal;
  /** Finds what is meant: the input of the job, and the run of it. */
  plan: (place: Workplace) => Promise<Planned>;
}

interface Planned {
  /** Of a job that there is not. */
  input: Record<string, unknown>;
  /** What is filled. */
  collections: readonly string[];
  submit: () => Promise<SubmittedRun>;
}

/** Stands where a run's id will. */
export const NO_RUN = '00000000-0000-0000-0000-000000000000';

/** @returns the exit code. */
export async function submitRun(submission: SubmitOptions): Promise<number> {
  const { kind, options, io, signal, plan } = submission;
  if (options['dry-run'] === true) {
    const { input } = await plan(openWorkplace(() => ({})));
    io.result(input, JSON.stringify(input, undefined, 2));
    return EXIT.ok;
  }
  if (options.here === true) return runHere(submission);
  const place = openWorkplace();
  requireEndpoint(place.runs, kind);
  const { submit, collections } = await plan(place);
  const run = await submit();
  io.result({ ...run, collections }, submittedText(run, collections, options.follow === true));
  return options.follow === true ? followRun({ id: run.id, place, io, signal }) : EXIT.ok;
}

async function runHere({ kind, io, signal, plan }: SubmitOptions): Promise<number> {
  let here: EndpointHere | undefined;
  const place = openWorkplace((settings, log): Partial<Record<RunKindName, Endpoint>> => {
    here = endpointHere(kind, settings, log);
    return { [kind]: here };
  });
  await using _ = here;
  const { submit, collections } = await plan(place);
  const run = await submit();
  io.result({ ...run, collections }, `Run ${run.id} runs here`);
  try {
    return await followRun({
      id: run.id,
      place,
      io,
      signal,
      looksForAsking: 1,
      whenLeft: 'Cancelling the run',
    });
  } catch (error) {
    if (signal.aborted) await cancelRun(place.runs, run.id);
    throw error;
  }
}

function submittedText({ id }: SubmittedRun, collections: readonly string[], follows: boolean): string {
  const into = collections.length === 0 ? '' : ` It fills ${collections.join(' and ')}.`;
  return `Run ${id} is submitted.${into}${follows ? '' : `\nFollow it with: gpu-handlers status ${id} --follow`}`;
}
