import { ModelError } from '../../base/errors.ts';
import { configurationOf } from '../../training/configuration.ts';
import type { Found } from '../resume.ts';
import type { TrainOptions } from './run-main.ts';
import { mainTrainerOptions } from './trainer-options.ts';

/**
 * What the run goes on from: the first checkpoint that is of this run. One that an earlier attempt left counts where
 * data and configuration are still the same. One that the job names may be of other images of the same classes: its
 * weights are gone on from, and none of its epochs is the best one.
 * @throws ModelError `checkpoint_mismatch` for one that the job names and that is of something else
 */
export async function takeUp(
  checkpoints: AsyncIterable<Found>,
  options: TrainOptions,
  warn: (message: string) => void,
): Promise<Found | undefined> {
  const { config, data, log } = options;
  for await (const found of checkpoints) {
    const { from, isAsked, state } = found;
    const isOfData = found.data.key === data.key;
    const difference =
      (await differenceOf(found, options)) ?? (isOfData || isAsked ? undefined : 'other images or labels');
    if (difference === undefined) {
      const { epoch, taken } = state.sampler;
      log.info(`[Resume] from ${from}: ${epoch} epochs done`, { epoch, taken });
      if (isAsked && epoch >= config.epochs)
        warn(`all ${config.epochs} epochs are done: config.epochs counts those before, and none is left`);
      return isOfData ? found : withOtherImages(found);
    }
    if (isAsked) {
      throw new ModelError(
        'checkpoint_mismatch',
        `resume_from: the checkpoint ${from} is of ${difference}; resume with the same model, classes, strategy, ` +
          'loss, optimiser, batch size and seed, or start anew',
      );
    }
    warn(`the checkpoint of an earlier attempt (${from}) is of ${difference}: the run starts anew`);
  }
  return undefined;
}

/** What the checkpoint is of, and this run is not. */
async function differenceOf(found: Found, options: TrainOptions): Promise<string | undefined> {
  const { classNames } = options.data;
  const { strategy } = options.config;
  const { plan } = found.groundwork;
  if (strategy !== 'auto' && strategy !== plan) return `the strategy ${plan}`;
  if (found.data.classNames.length !== classNames.length) return `${found.data.classNames.length} classes`;
  const other = found.data.classNames.findIndex((name, label) => name !== classNames[label]);
  if (other !== -1) return `other classes (${other}: '${found.data.classNames[other] ?? ''}')`;
  const configuration = await configurationOf(mainTrainerOptions(options, found.groundwork));
  return found.checkpoint.trainer.configuration === configuration ? undefined : 'another configuration';
}

/** The epoch under way begins anew, as its rows are others; what was best was so on other images. */
function withOtherImages({ state, ...resumed }: Found): Found {
  const sampler = { epoch: state.sampler.epoch, taken: 0 };
  return { ...resumed, state: { ...state, sampler, rows: [], lossSum: 0, lossSteps: 0, epochSeconds: 0 } };
}
