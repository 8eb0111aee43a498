import { startLocalCloud, type LocalCloud, type LocalCloudOptions } from '../local/cloud.ts';
import { createProgressBar } from './progress-bar.ts';

/** The local cloud with the sample shelf; a bar shows how it is drawn, where it has to be. */
export async function startShelfCloud(options: Omit<LocalCloudOptions, 'onProgress'>): Promise<LocalCloud> {
  const bar = createProgressBar({ label: 'drawing the sample shelf' });
  return startLocalCloud({
    ...options,
    onProgress: (progress) => {
      bar.update(progress);
      if (progress.done === progress.total) bar.end();
    },
  });
}
