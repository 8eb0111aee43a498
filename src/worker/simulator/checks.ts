import type { RecordedRequest } from './record.ts';

/** One chunk of a stream, as sent. */
const MAX_CHUNK_BYTES = 1_000_000;
const POST_TYPE = 'application/x-www-form-urlencoded';

/** What is known of the job that a post belongs to. */
export interface JobState {
  state: 'queued' | 'taken' | 'ended' | 'stopped';
  workerId: string | undefined;
}

/** What today's service would not take in this request, or would take and its client regret. Empty where all is right. */
export function faultsOf(request: RecordedRequest, apiKey: string, job: JobState | undefined): string[] {
  const { route, headers, query } = request;
  const faults: string[] = [];
  const expect = (holds: boolean, otherwise: string): void => {
    if (!holds) faults.push(otherwise);
  };
  const { authorization = '' } = headers;
  expect(
    !/^bearer /i.test(authorization),
    'the Authorization header begins with Bearer, the service takes the key alone',
  );
  expect(
    authorization === apiKey || /^bearer /i.test(authorization),
    authorization === '' ? 'there is no Authorization header' : 'the Authorization header is not the key',
  );
  expect(headers['user-agent'] !== undefined, 'there is no User-Agent header');
  if (route === 'take' || route === 'take-batch') {
    expect(
      query.job_in_progress === '0' || query.job_in_progress === '1',
      'job_in_progress is neither 0 nor 1',
    );
  }
  if (route === 'take-batch') {
    expect(/^[1-9]\d*$/.test(query.batch_size ?? ''), 'batch_size is no whole number above 0');
  }
  if (route === 'done' || route === 'progress' || route === 'stream') {
    expect(headers['x-request-id'] === request.jobId, 'X-Request-ID is not the id of the job');
    expect(headers['content-type']?.split(';')[0] === POST_TYPE, `Content-Type is not ${POST_TYPE}`);
    expect(query.isStream === 'true' || query.isStream === 'false', 'isStream is neither true nor false');
    faults.push(...jobFaults(route, job, request.workerId));
  }
  const bytes = route === 'stream' ? Buffer.byteLength(request.body) : 0;
  expect(bytes <= MAX_CHUNK_BYTES, `the chunk has ${bytes} bytes, above ${MAX_CHUNK_BYTES}`);
  return faults;
}

/** What is wrong with the body of a post, parsed. */
export function bodyFaults(body: unknown): string[] {
  if (body === null || typeof body !== 'object' || Array.isArray(body)) return ['the body is no JSON object'];
  const faults: string[] = [];
  if ('error' in body && typeof body.error !== 'string') {
    faults.push('error is no string: the service would call the job COMPLETED');
  }
  if (!('error' in body) && !('output' in body)) faults.push('the body has neither output nor error');
  return faults;
}

function jobFaults(route: string, job: JobState | undefined, workerId: string): string[] {
  const post = route === 'done' ? 'a final post' : `a post of the ${route} kind`;
  if (job === undefined) return [`${post} for a job that was never submitted`];
  switch (job.state) {
    case 'queued':
      return [`${post} for a job that nobody took`];
    case 'stopped':
      return route === 'done' ? ['a final post for a job that was stopped'] : [];
    case 'ended':
      return [`${post} after the final post`];
    case 'taken':
      return job.workerId === workerId ? [] : [`${post} for a job that another worker took`];
  }
}
