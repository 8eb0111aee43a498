import type { Log } from '../base/log.ts';
import { createMeter, type Meter, type MeterReading, type StageReading } from '../flow/meter.ts';

/** The stages of the pipeline, in the order of the stream. */
export type StageName = 'list' | 'download' | 'decode' | 'embed' | 'write';

/** How one stage spent the job's time; working, waiting and held back make up the whole, averaged over its places. */
export interface StagePerformance {
  /** Images, batches or writes that it works on at the same time. */
  at_once: number;
  working_seconds: number;
  /** For the stage before it. */
  waiting_seconds: number;
  /** By the stage behind it, which took no more. */
  held_back_seconds: number;
  /** Of the whole, the share in which it did not work, for either reason. */
  waiting_share: number;
  /** Of the whole, the share in which the other stages waited for this one. */
  limiting_share: number;
}

/** How fast a job was, and why not faster. docs/operations.md says how to read it. */
export interface JobPerformance {
  /** Images that this run embedded and wrote, by the seconds of the stream. */
  images_per_second: number;
  /** From the first row that was read to the last point that was written; model, counting pass and rows come on top. */
  seconds: number;
  /** The stage that held the others back for the longest; null where nothing ran. */
  limited_by: string | null;
  stages: Record<string, StagePerformance>;
  /** Bytes of the images' files, as they came. */
  downloaded_bytes: number;
  /** Requests that were tried again, by whom they were made to. */
  retries: Record<RetriedSide, number>;
  /** The most that the process held, as the system counts it, of the processor's memory. */
  memory_peak_bytes: number;
}

type RetriedSide = 'images' | 'supabase' | 'qdrant';

/** What is counted while a job runs. Its memory does not grow. */
export interface JobStats extends Disposable {
  readonly meter: Meter;
  downloaded(bytes: number): void;
  retried(side: RetriedSide): void;
  /** Logs it, once, and gives it; `images`: embedded and written by this run. */
  tell(images: number, log: Log): JobPerformance;
}

const SAMPLE_MS = 250;
const KIBIBYTE = 1_024;

/** To be disposed of: it looks at the memory now and then. */
export function createJobStats(): JobStats {
  const meter = createMeter();
  const memory = watchMemory();
  const retries: Record<RetriedSide, number> = { images: 0, supabase: 0, qdrant: 0 };
  let downloadedBytes = 0;
  let told: JobPerformance | undefined;
  return {
    meter,
    downloaded(bytes) {
      downloadedBytes += bytes;
    },
    retried(side) {
      retries[side] += 1;
    },
    tell(images, log) {
      if (told !== undefined) return told;
      told = {
        ...performanceOf(meter.read(), images),
        downloaded_bytes: downloadedBytes,
        retries: { ...retries },
        memory_peak_bytes: memory.peakBytes(),
      };
      log.info('Performance', { ...told });
      return told;
    },
    [Symbol.dispose]: () => memory.stop(),
  };
}

function performanceOf(
  { seconds, stages }: MeterReading,
  images: number,
): Pick<JobPerformance, 'images_per_second' | 'seconds' | 'limited_by' | 'stages'> {
  const [limiting] = stages.toSorted((a, b) => b.limitingSeconds - a.limitingSeconds);
  return {
    images_per_second: seconds === 0 ? 0 : rounded(images / seconds),
    seconds: rounded(seconds),
    limited_by: limiting === undefined || limiting.limitingSeconds === 0 ? null : limiting.name,
    stages: Object.fromEntries(stages.map((stage) => [stage.name, stagePerformance(stage, seconds)])),
  };
}

export function stagePerformance(stage: StageReading, seconds: number): StagePerformance {
  const share = (part: number): number => (seconds === 0 ? 0 : rounded(part / seconds));
  return {
    at_once: stage.places,
    working_seconds: rounded(stage.workingSeconds),
    waiting_seconds: rounded(stage.waitingSeconds),
    held_back_seconds: rounded(stage.heldSeconds),
    waiting_share: share(stage.waitingSeconds + stage.heldSeconds),
    limiting_share: share(stage.limitingSeconds),
  };
}

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;

interface MemoryWatch {
  peakBytes(): number;
  stop(): void;
}

/** The system knows the peak of the process' whole life only: where a job does not exceed it, samples must do. */
function watchMemory(): MemoryWatch {
  const before = process.resourceUsage().maxRSS;
  let sampled = 0;
  const sample = (): void => {
    sampled = Math.max(sampled, process.memoryUsage.rss());
  };
  sample();
  const timer = setInterval(sample, SAMPLE_MS).unref();
  return {
    peakBytes() {
      sample();
      const { maxRSS } = process.resourceUsage();
      return maxRSS > before ? maxRSS * KIBIBYTE : sampled;
    },
    stop: () => clearInterval(timer),
  };
}
