import type { Log } from '../base/log.ts';
import type { Machine } from '../base/machine.ts';
import type { EmbeddingModel } from '../model/embedding-model.ts';
import type { StageSizes } from './stage-sizes.ts';

/** `batchSizeFrom`: the name of what set the model's batch, where anything did. */
export type TellSizes = (model: EmbeddingModel, batchSizeFrom: string, log: Log) => void;

const MEBIBYTE = 2 ** 20;

export function sizesTeller({ cores, freeMemoryBytes }: Machine, stages: StageSizes): TellSizes {
  const told = new WeakSet<EmbeddingModel>();
  return (model, batchSizeFrom, log) => {
    if (told.has(model)) return;
    told.add(model);
    const { sessions, threads, batchSize } = model.sizes;
    log.info('Sizes chosen', {
      cores,
      free_memory_mib: freeMemoryBytes === undefined ? null : Math.floor(freeMemoryBytes / MEBIBYTE),
      provider: model.provider,
      downloads: shown(stages.downloads, 'DOWNLOAD_CONCURRENCY'),
      decoders: shown(stages.decoders, 'DECODE_CONCURRENCY'),
      decode_mib: shown({ ...stages.decodeBytes, value: Math.floor(stages.decodeBytes.value / MEBIBYTE) }),
      sessions: shown(sessions, 'INFERENCE_SESSIONS'),
      threads: shown(threads, 'INFERENCE_THREADS'),
      batch_size: shown(batchSize, batchSizeFrom),
      writes: shown(stages.writes, 'WRITE_CONCURRENCY'),
    });
  };
}

function shown({ value, from }: { value: number; from: string }, setting = 'set'): string {
  return `${value} (${from === 'set' ? setting : from})`;
}
