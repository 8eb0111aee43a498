import { readdirSync, readFileSync } from 'node:fs';

const JOBS = new URL('../fixtures/jobs/', import.meta.url);
const isTraining = (name: string): boolean => name.startsWith('cls-');

/** Names of the files in test/fixtures/jobs, by the kind of their job. */
export const EMBEDDING_JOBS = readdirSync(JOBS).filter((name) => !isTraining(name));
export const TRAINING_JOBS = readdirSync(JOBS).filter(isTraining);

/** The input of a job as the API sends it. */
export function readJob(name: string): Record<string, unknown> {
  return (JSON.parse(readFileSync(new URL(name, JOBS), 'utf8')) as { input: Record<string, unknown> }).input;
}
