import { startLocalCloud, type LocalCloud } from '../local/cloud.ts';
import { createProgressBar } from './progress-bar.ts';

/** The local cloud with the sample shelf; a bar shows how it is drawn, where it has to be. */
export async function startShelfCloud(options: { folder: string; persist?: boolean }): Promise<LocalCloud> {
  const bar = createProgressBar('drawing the sample shelf');
  return startLocalCloud({
    ...options,
    onProgress: ({ done, total }) => {
      bar.update(done, total);
      if (done === total) bar.end();
    },
  });
}
