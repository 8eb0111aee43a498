import { HandlerError } from '../../src/base/errors.ts';
import type { HandlerName } from '../images/checks.ts';
import type { Commands } from './commands.ts';

/** Characters of the commit in an image's tag. */
const COMMIT_CHARS = 12;

/** One repository holds the images of all handlers: `docker.io/acme/gpu-handlers:embedding-1f2e3d4c5b6a`. */
export function imageOf(repository: string, handler: HandlerName, tag: string): string {
  return `${repository}:${tag.startsWith(`${handler}-`) ? tag : `${handler}-${tag}`}`;
}

/** The checked-out commit, as it stands in tags. @throws HandlerError `not_committed` where an image would be of no commit. */
export async function commitOf(commands: Commands): Promise<string> {
  const commit = await commands.ask('git', ['rev-parse', 'HEAD']);
  if (commit === undefined || commit === '') {
    throw new HandlerError(
      'not_committed',
      'images are tagged with the commit, and this folder is no git checkout',
    );
  }
  return commit;
}

export function tagOf(commit: string): string {
  return commit.slice(0, COMMIT_CHARS);
}

/** @throws HandlerError `not_committed` where files differ from the commit whose name the image would bear. */
export async function assertCommitted(commands: Commands): Promise<void> {
  const changes = await commands.ask('git', ['status', '--porcelain']);
  if (changes === '') return;
  const files = (changes ?? '').split('\n').map((line) => line.slice(3));
  const named = files.slice(0, 5).join(', ') + (files.length > 5 ? ', ...' : '');
  throw new HandlerError(
    'not_committed',
    `an image bears the name of a commit, and these files differ from it: ${named}. Commit or remove them first`,
  );
}

export interface Build {
  handler: HandlerName;
  image: string;
  commit: string;
  version: string;
}

export function buildArgs({ handler, image, commit, version }: Build): string[] {
  return [
    'build',
    '--platform=linux/amd64',
    `--file=Dockerfile.${handler}`,
    `--build-arg=REVISION=${commit}`,
    `--build-arg=VERSION=${version}`,
    `--tag=${image}`,
    '.',
  ];
}

export function pushArgs(image: string): string[] {
  return ['push', image];
}

export function inspectArgs(image: string): string[] {
  return ['manifest', 'inspect', image];
}

/** Does the registry have the image? A commit's image is built and pushed once. */
export async function isPushed(commands: Commands, image: string): Promise<boolean> {
  return (await commands.ask('docker', inspectArgs(image))) !== undefined;
}

export async function buildAndPush(commands: Commands, build: Build): Promise<void> {
  await commands.run('docker', buildArgs(build));
  await commands.run('docker', pushArgs(build.image));
}
