/**
 * Does this `.dockerignore` keep the path out of the build's context? The last pattern that matches the path, or a
 * folder above it, decides. Patterns may hold `*` within a name, and `!` in front.
 */
export function isIgnored(dockerignore: string, path: string): boolean {
  const patterns = dockerignore
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const folders = path.split('/').map((_, i, names) => names.slice(0, i + 1).join('/'));
  let ignored = false;
  for (const pattern of patterns) {
    const keeps = pattern.startsWith('!');
    const matcher = matcherOf(pattern.replace(/^!/, '').replace(/\/$/, ''));
    if (folders.some((folder) => matcher.test(folder))) ignored = !keeps;
  }
  return ignored;
}

function matcherOf(pattern: string): RegExp {
  const source = pattern.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${source.join('[^/]*')}$`);
}
